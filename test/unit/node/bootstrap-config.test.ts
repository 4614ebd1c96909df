// [bootstrap] of the configuration: hosts and their ranks, what they bind to and connect to, and what is refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, Real } from '../../../core/json.ts';
import {
  type BootstrapConfig,
  type BootstrapHost,
  bindUri,
  certificatePath,
  connectUri,
  parseBootstrap,
  rankOfHost,
} from '../../../core/node/bootstrap-config.ts';
import { throwsCode } from '../../errors.ts';

function parse(bootstrap: JsonObject): BootstrapConfig {
  return parseBootstrap({ bootstrap })!;
}

test('a configuration without [bootstrap] has none', () => {
  assert.equal(parseBootstrap({}), undefined);
  assert.equal(parseBootstrap({ tbon: { topo: 'custom' } }), undefined);
});

test('all keys', () => {
  const bootstrap = parse({
    enable_ipv6: true,
    curve_cert: '/etc/flux/system/curve.cert',
    default_port: 8050,
    default_bind: 'tcp://en0:%p',
    default_connect: 'tcp://e%h:%p',
    hosts: [{ host: 'test0', bind: 'tcp://en4:9001', connect: 'tcp://test-mgmt:9001' }, { host: 'test[1-255]' }],
  });
  assert.equal(bootstrap.size, 256);
  assert.equal(bootstrap.enableIpv6, true);
  assert.equal(certificatePath(bootstrap), '/etc/flux/system/curve.cert');
  assert.deepEqual(
    [0, 1, 255].map((rank) => bootstrap.hosts[rank]),
    [
      { host: 'test0', bind: 'tcp://en4:9001', connect: 'tcp://test-mgmt:9001' },
      { host: 'test1', bind: 'tcp://en0:8050', connect: 'tcp://etest1:8050' },
      { host: 'test255', bind: 'tcp://en0:8050', connect: 'tcp://etest255:8050' },
    ],
  );
  assert.equal(rankOfHost(bootstrap, 'test42'), 42);
  assert.equal(bindUri(bootstrap, 42), 'tcp://en0:8050');
  assert.equal(connectUri(bootstrap, 42), 'tcp://etest42:8050');
});

test('without hosts there is one rank, on any host', () => {
  for (const table of [{}, { hosts: [] }]) {
    const bootstrap = parse(table);
    assert.deepEqual(bootstrap, { size: 1, hosts: [], enableIpv6: false, curveCert: undefined });
    assert.equal(rankOfHost(bootstrap, 'anything'), 0);
    assert.equal(certificatePath(bootstrap), undefined);
    throwsCode(() => bindUri(bootstrap, 0), 'EINVAL', /neither 'bind' nor 'default_bind' for rank 0$/);
  }
});

test('hosts listed again add what was not said of them, and keep their ranks', () => {
  const rows: [what: string, hosts: JsonObject[], expected: BootstrapHost[]][] = [
    [
      'parents in blocks of their own',
      [{ host: 'n[0-3]' }, { host: 'n[1,3]', parent: 'n0' }, { host: 'n2', parent: 'n1' }],
      [{ host: 'n0' }, { host: 'n1', parent: 'n0' }, { host: 'n2', parent: 'n1' }, { host: 'n3', parent: 'n0' }],
    ],
    [
      'what was said first holds',
      [
        { host: 'a', bind: 'tcp://x:1' },
        { host: 'a,b', bind: 'tcp://y:2', connect: 'tcp://z:3' },
      ],
      [
        { host: 'a', bind: 'tcp://x:1', connect: 'tcp://z:3' },
        { host: 'b', bind: 'tcp://y:2', connect: 'tcp://z:3' },
      ],
    ],
    ['a host twice in one list', [{ host: 'a,b,a' }], [{ host: 'a' }, { host: 'b' }]],
    ['an empty list among others', [{ host: '' }, { host: 'a' }], [{ host: 'a' }]],
    [
      'a parent that comes later',
      [{ host: 'a' }, { host: 'b', parent: 'c' }, { host: 'c' }],
      [{ host: 'a' }, { host: 'b', parent: 'c' }, { host: 'c' }],
    ],
  ];
  for (const [what, hosts, expected] of rows) assert.deepEqual(parse({ hosts }).hosts, expected, what);
});

test('%h and %p are the host and the default port', () => {
  const long = `tcp://${'x'.repeat(2048 - 'tcp://:42'.length)}`;
  const rows: [template: string, uri: string][] = [
    ['tcp://en0:%p', 'tcp://en0:42'],
    ['tcp://%h:%p', 'tcp://foo:42'],
    ['tcp://%%h:%p', 'tcp://%h:42'],
    ['tcp://%X%h', 'tcp://%Xfoo'],
    ['tcp://a%', 'tcp://a'],
    ['tcp://[2001:db8::7334]:%p', 'tcp://[2001:db8::7334]:42'],
    ['tcp://*:%p', 'tcp://*:42'],
    [`${long}:%p`, `${long}:42`],
    ['ipc:///run/%h-%p', 'ipc:///run/foo-42'],
    ['ipc://@abstract', 'ipc://@abstract'],
    [`ipc://${'p'.repeat(108)}`, `ipc://${'p'.repeat(108)}`],
  ];
  for (const [template, uri] of rows) {
    const own = parse({ default_port: 42, hosts: [{ host: 'foo', bind: template, connect: template }] });
    assert.deepEqual(own.hosts, [{ host: 'foo', bind: uri, connect: uri }]);
    const defaults = { default_port: 42, default_bind: template, default_connect: template };
    assert.deepEqual(parse({ ...defaults, hosts: [{ host: 'foo' }] }).hosts, own.hosts);
  }
});

test('names of hosts are those of RFC 1035', () => {
  const part = 'p'.repeat(63);
  const longest = `${part}.${part}.${part}.${'p'.repeat(61)}`;
  for (const host of ['foo', 'foo42', 'foo.bar', 'foo.bar.', 'foo-bar', '7', part, longest])
    assert.equal(rankOfHost(parse({ hosts: [{ host }] }), host), 0);
  for (const host of ['-foo', 'foo-', 'fo:o', 'fo_o', 'foo.-bar', 'foo.-bar.baz', 'föö', `${part}p`, `${longest}p`])
    throwsCode(() => parse({ hosts: [{ host }] }), 'EINVAL', new RegExp(`'host' ${host} is no name of a host$`));
});

test('what is wrong is told by its key and its host', () => {
  const rows: [wrong: unknown, text: RegExp][] = [
    [5, /\[bootstrap\] .*not a table/],
    [null, /\[bootstrap\] .*not a table/],
    [{ size: 4 }, /\[bootstrap\] .*unknown key 'size'/],
    [{ hosts: 42 }, /\[bootstrap\] .*'hosts' is not an array/],
    [{ enable_ipv6: 1 }, /'enable_ipv6' is not true or false/],
    [{ curve_cert: false }, /'curve_cert' is not a string/],
    [{ default_port: '1' }, /'default_port' is not an integer/],
    [{ default_port: new Real(1) }, /'default_port' is not an integer/],
    [{ default_port: -1 }, /'default_port' is -1, not 0-65535/],
    [{ default_port: 65536 }, /'default_port' is 65536, not 0-65535/],
    [{ default_bind: 1 }, /'default_bind' is not a string/],
    [{ default_connect: [] }, /'default_connect' is not a string/],
    [{ hosts: [{ host: 'a' }, 42] }, /\[bootstrap\.hosts\[1\]\] .*not a table/],
    [{ hosts: ['a'] }, /\[bootstrap\.hosts\[0\]\] .*not a table/],
    [{ hosts: [null] }, /\[bootstrap\.hosts\[0\]\] .*not a table/],
    [{ hosts: [{}] }, /\[bootstrap\.hosts\[0\]\] .*'host' is missing/],
    [{ hosts: [{ host: 5 }] }, /\[bootstrap\.hosts\[0\]\] .*'host' is not a string/],
    [{ hosts: [{ host: 'a', bind: 5 }] }, /\[bootstrap\.hosts\[0\]\] .*'bind' is not a string/],
    [{ hosts: [{ host: 'a', extra: 5 }] }, /\[bootstrap\.hosts\[0\]\] .*unknown key 'extra'/],
    [{ hosts: [{ host: 'a[0-2' }] }, /\[bootstrap\.hosts\[0\]\] .*'host': .*'a\[0-2'/],
    [{ hosts: [{ host: '' }] }, /'hosts' names no host/],
    [{ hosts: [{ host: 'a[0-1]', parent: 'a1' }] }, /host a1: 'parent' is the host itself/],
    [{ hosts: [{ host: 'a[0-1]', parent: 'x' }] }, /host a0: 'parent' x is none of the hosts/],
    [{ hosts: [{ host: 'a', bind: '' }] }, /host a: 'bind' is neither a tcp:\/\/ nor an ipc:\/\/ URI: ''/],
    [{ hosts: [{ host: 'a', connect: 'pgm://x' }] }, /host a: 'connect' is neither .*: 'pgm:\/\/x'/],
    [{ hosts: [{ host: 'a' }], default_connect: 'a:1' }, /host a: 'default_connect' is neither .*: 'a:1'/],
    [{ hosts: [{ host: 'a', bind: 'tcp://' }] }, /host a: 'bind' has no address/],
    [{ hosts: [{ host: 'a', bind: 'ipc://' }] }, /host a: 'bind' has no address/],
    [{ hosts: [{ host: 'a', bind: 'tcp://eth1:*' }] }, /host a: 'bind' leaves the port open/],
    [{ hosts: [{ host: 'a', bind: 'ipc://foo:*' }] }, /host a: 'bind' leaves the port open/],
    [{ hosts: [{ host: 'a', bind: 'tcp://x:%p' }] }, /host a: 'bind' has %p, but there is no 'default_port'/],
    [{ hosts: [{ host: 'a', bind: `ipc://${'p'.repeat(109)}` }] }, /'bind' has a path of more than 108 bytes/],
    [{ hosts: [{ host: 'a', bind: `tcp://${'p'.repeat(2043)}` }] }, /'bind' has more than 2048 bytes/],
    [{ hosts: [{ host: 'a' }], default_bind: `tcp://${'%h%h'.repeat(1022)}` }, /'default_bind' has more than 2048/],
  ];
  for (const [wrong, text] of rows) throwsCode(() => parse(wrong as JsonObject), 'EINVAL', text);
});

test('endpoints that are used have a port, and no address of IPv6 unless it is allowed', () => {
  for (const [connect, text] of [
    ['tcp://a', /no port from 1 to 65535 for rank 0 \(a\): 'connect' is 'tcp:\/\/a'/],
    ['tcp://a:', /no port/],
    ['tcp://a:0', /no port/],
    ['tcp://a:99999', /no port/],
    ['tcp://a:x', /no port/],
    ['tcp://[::1]:42', /IPv6 for rank 0 \(a\), but no 'enable_ipv6': 'tcp:\/\/\[::1\]:42'/],
  ] as const)
    throwsCode(() => connectUri(parse({ hosts: [{ host: 'a', connect }] }), 0), 'EINVAL', text);
  const hosts = [{ host: 'a', connect: 'tcp://[::1]:42' }];
  assert.equal(connectUri(parse({ enable_ipv6: true, hosts }), 0), 'tcp://[::1]:42');
});

test('a host, an endpoint or a certificate that is missing is told when it is asked for', () => {
  const bootstrap = parse({ hosts: [{ host: 'a[0-1]', bind: 'tcp://x:1' }] });
  throwsCode(() => rankOfHost(bootstrap, 'a2'), 'EINVAL', /\[bootstrap\] hosts of the configuration .*'a2'/);
  throwsCode(() => connectUri(bootstrap, 1), 'EINVAL', /neither 'connect' nor 'default_connect' for rank 1 \(a1\)/);
  throwsCode(() => connectUri(bootstrap, 2), 'EINVAL', /for rank 2$/);
  throwsCode(() => certificatePath(bootstrap), 'EINVAL', /lacks 'curve_cert', which 2 ranks need/);
});
