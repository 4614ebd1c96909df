/**
 * Paths that a Flux installation has built in, as `broker.conf-builtin` and `flux config builtin` tell them.
 *
 * The keys are flux-core's, and so are the places below the prefix: scripts look for what others have installed there. What is
 * Flux's own and opened by programs is told where it is.
 */

import { pmiLibraryPath } from '../../native/prebuilt.ts';

const prefix = '/usr/local';
const libdir = `${prefix}/lib/flux`;
const libexecdir = `${prefix}/libexec/flux`;
const confdir = `${prefix}/etc/flux`;
const datadir = `${prefix}/share/flux`;

export const builtInConfiguration: Readonly<Record<string, string>> = {
  confdir,
  libexecdir,
  datadir,
  lua_cpath_add: `${prefix}/lib/lua/5.3/?.so`,
  lua_path_add: `${prefix}/share/lua/5.3/?.lua`,
  python_path: `${libdir}/python3`,
  python_wrapper: `${libexecdir}/cmd/py-runner.py`,
  man_path: `${prefix}/share/man`,
  exec_path: `${libexecdir}/cmd`,
  connector_path: `${libdir}/connectors`,
  module_path: `${libdir}/modules`,
  rc1_path: 'flux modprobe rc1',
  rc3_path: 'flux modprobe rc3',
  cmdhelp_pattern: `${datadir}/help.d/*.json`,
  get pmi_library_path() {
    return pmiLibraryPath() ?? `${libdir}/libpmi.so`;
  },
  shell_path: `${libexecdir}/flux-shell`,
  shell_pluginpath: `${libdir}/shell/plugins`,
  shell_initrc: `${confdir}/shell/initrc.lua`,
  jobtap_pluginpath: `${libdir}/job-manager/plugins`,
  upmi_pluginpath: `${libdir}/upmi/plugins`,
  no_docs_path: `${datadir}/.nodocs`,
  rundir: '/run/flux',
};
