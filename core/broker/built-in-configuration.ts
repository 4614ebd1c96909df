/** Paths that a Flux installation has built in, as `broker.conf-builtin` tells them. */

const prefix = '/usr/local';
const libdir = `${prefix}/lib/flux`;
const confdir = `${prefix}/etc/flux`;

export const builtInConfiguration: Readonly<Record<string, string>> = {
  confdir,
  libexecdir: `${prefix}/libexec/flux`,
  datadir: `${prefix}/share`,
  exec_path: `${prefix}/libexec/flux/cmd`,
  connector_path: `${libdir}/connectors`,
  module_path: `${libdir}/modules`,
  rc1_path: 'flux modprobe rc1',
  rc3_path: 'flux modprobe rc3',
  pmi_library_path: `${libdir}/libpmi.so`,
  shell_path: `${prefix}/libexec/flux/flux-shell`,
  shell_pluginpath: `${libdir}/shell/plugins`,
  shell_initrc: `${confdir}/shell/initrc.lua`,
  jobtap_pluginpath: `${libdir}/job-manager/plugins`,
  man_path: `${prefix}/share/man`,
  rundir: '/run/flux',
};
