# @summary Watches TLS from this host to the pools behind its load balancers, and keeps the evidence.
#
# The program itself is installed beforehand: by pip into a virtual environment, from an archive, or by deb or rpm, whose
# command is /usr/bin/inspector (docs/how-to/install.md of the project).
#
# @example On each Puppet Server
#   class { 'inspector':
#     vips => ['10.0.0.5:8081'],
#   }
#
# @param vips
#   Services to look at, each as HOST:PORT. Without any, a Puppet Server on this host is looked for.
# @param ensure
#   Whether the watch runs, or is gone; its journal stays.
# @param command
#   Where the program is.
# @param findings_only
#   Whether lines in the system's journal are of findings alone, not of each connection.
# @param logs
#   Logs of Puppet Server or HAProxy that are joined with the wire.
# @param log_groups
#   Groups that may read these logs.
# @param memory
#   What systemd lets it have.
class inspector (
  Array[Pattern[/\A(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}\z/]] $vips = [],
  Enum['present', 'absent'] $ensure = 'present',
  Pattern[/\A\//] $command = '/opt/inspector/bin/inspector',
  Boolean $findings_only = true,
  Array[Pattern[/\A\//]] $logs = [],
  Array[String[1]] $log_groups = [],
  Pattern[/\A\d+[KMG]\z/] $memory = '256M',
) {
  $unit = '/etc/systemd/system/inspector-watch.service'

  if $ensure == 'present' {
    file { $unit:
      ensure  => file,
      owner   => 'root',
      group   => 'root',
      mode    => '0644',
      content => epp('inspector/inspector-watch.service.epp', {
          'vips'          => $vips,
          'command'       => $command,
          'findings_only' => $findings_only,
          'logs'          => $logs,
          'log_groups'    => $log_groups,
          'memory'        => $memory,
      }),
      notify  => Exec['inspector: systemctl daemon-reload'],
    }
    exec { 'inspector: systemctl daemon-reload':
      command     => 'systemctl daemon-reload',
      path        => ['/usr/bin', '/bin'],
      refreshonly => true,
    }
    service { 'inspector-watch':
      ensure    => running,
      enable    => true,
      subscribe => [File[$unit], Exec['inspector: systemctl daemon-reload']],
    }
  } else {
    service { 'inspector-watch':
      ensure => stopped,
      enable => false,
    }
    file { $unit:
      ensure  => absent,
      require => Service['inspector-watch'],
    }
  }
}
