/**
 * The program that runs one module in a process of its own: `module-host FILE`, with the broker at FLUX_MODULE_URI
 * (RFC 5, Standalone Process).
 */

import { connectDescriptor } from '../core/handle/socket-transport.ts';
import { parseUri, type Transport } from '../core/handle/transport.ts';
import type { Message } from '../core/message/message.ts';
import { bundledModule } from './bundled.ts';
import { importModule } from './module-files.ts';
import { RemoteModule } from './remote-modules.ts';
import { realWorld } from './world.ts';

const [file] = process.argv.slice(2);
const uri = process.env.FLUX_MODULE_URI;
if (file === undefined || uri === undefined) {
  console.error('usage: module-host FILE, with FLUX_MODULE_URI set');
  process.exit(2);
}

let transport: Transport | undefined;
const module = new RemoteModule(
  async () => bundledModule(file) ?? importModule(file),
  (message: Message) => transport?.send(message),
  () => void transport?.close(),
  realWorld,
);
transport = await connectDescriptor(parseUri(uri).address, {
  onMessage: (message) => module.receive(message),
  onClose: () => process.exit(1),
});
