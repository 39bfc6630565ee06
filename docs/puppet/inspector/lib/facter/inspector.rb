# frozen_string_literal: true

# What the watch on this host has met since it was started, as it last wrote it for Prometheus; nothing where none runs.
Facter.add(:inspector) do
  confine kernel: 'Linux'
  setcode do
    path = '/run/inspector/inspector.prom'
    counts = {}
    if File.file?(path) && File.size(path) < 4_194_304
      File.foreach(path) do |line|
        case line
        when /\Ainspector_build_info\{version="([\w.+-]+)"\} 1$/
          counts['version'] = Regexp.last_match(1)
        when /\Ainspector_(incidents|connections|packets|drops)_total (\d+)$/
          counts[Regexp.last_match(1)] = Regexp.last_match(2).to_i
        end
      end
      counts['written'] = File.mtime(path).utc.strftime('%Y-%m-%dT%H:%M:%SZ')
    end
    counts.empty? ? nil : counts
  end
end
