/** Standard input as a value of the KVS. */

import { asFluxError, errno } from '../core/errno.ts';
import { makeVal, type Treeobj } from '../core/formats/treeobj.ts';
import type { Content } from '../core/handle/content.ts';

/** A longer value goes to the content store in blobs of this size as it comes, and the commit has their names only. */
const BLOB_BYTES = 4 * 1024 * 1024;

let wasRead = false;

/** Standard input, whole; nothing when it was read before. */
export async function readInput(): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOfInput()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Standard input as a value; those who may not write to the content store, guests, send it as one. */
export async function readValue(content: Content): Promise<Treeobj> {
  const blobs: string[] = [];
  let chunks: Uint8Array[] = [];
  let length = 0;
  let storesBlobs = true;
  for await (const chunk of chunksOfInput()) {
    chunks.push(chunk);
    length += chunk.length;
    if (length < BLOB_BYTES || !storesBlobs) continue;
    const blob = Buffer.concat(chunks);
    const blobref = await storeUnlessGuest(content, blob);
    if (blobref === undefined) storesBlobs = false;
    else blobs.push(blobref);
    chunks = blobref === undefined ? [blob] : [];
    length = 0;
  }
  const rest = Buffer.concat(chunks);
  if (!blobs.length) return makeVal(rest);
  if (rest.length) blobs.push(await content.store(rest));
  return { ver: 1, type: 'valref', data: blobs };
}

async function storeUnlessGuest(content: Content, blob: Uint8Array): Promise<string | undefined> {
  try {
    return await content.store(blob);
  } catch (error) {
    if (asFluxError(error).errno === errno.EPERM) return undefined;
    throw error;
  }
}

async function* chunksOfInput(): AsyncGenerator<Uint8Array, void, undefined> {
  if (wasRead) return;
  wasRead = true;
  yield* process.stdin as AsyncIterable<Uint8Array>;
}
