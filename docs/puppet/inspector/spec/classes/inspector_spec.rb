# frozen_string_literal: true

require 'rspec-puppet'

RSpec.configure do |c|
  c.module_path = File.expand_path('../../..', __dir__)
end

describe 'inspector' do
  let(:facts) { { 'os' => { 'family' => 'Debian' } } }
  let(:unit) { '/etc/systemd/system/inspector-watch.service' }

  context 'with services and a log' do
    let(:params) { { 'vips' => ['10.0.0.5:8081', '[fd00::5]:8081'], 'logs' => ['/var/log/puppetserver.log'] } }

    it { is_expected.to compile.with_all_deps }
    it { is_expected.to contain_service('inspector-watch').with_ensure('running').with_enable(true) }

    it do
      is_expected.to contain_file(unit)
        .with_content(%r{^ExecStart=/opt/inspector/bin/inspector watch --vip 10\.0\.0\.5:8081 --vip \[fd00::5\]:8081 --findings-only --log /var/log/puppetserver\.log --incidents})
        .with_content(/^SupplementaryGroups=puppet$/)
        .with_content(/^MemoryMax=256M$/)
    end
  end

  context 'without anything' do
    it { is_expected.to compile.with_all_deps }
    it { is_expected.to contain_file(unit).without_content(/--vip|SupplementaryGroups/) }
  end

  context 'when it is to go' do
    let(:params) { { 'ensure' => 'absent' } }

    it { is_expected.to contain_service('inspector-watch').with_ensure('stopped') }
    it { is_expected.to contain_file(unit).with_ensure('absent') }
  end

  context 'with what is no service' do
    let(:params) { { 'vips' => ['10.0.0.5:8081 --exec reboot'] } }

    it { is_expected.to compile.and_raise_error(/vips/) }
  end
end
