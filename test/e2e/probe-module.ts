/** The text of a module that tries all that a module can do, and tells what it found. */
export const probeText = `export default {
    async start(context, args) {
      if (args[0] === 'throws') throw new FluxError('ENOTDIR', 'told to throw');
      if (args[0] === 'breaks') null.value;
      if (args[0] === 'rejects') {
        await context.rpc('attr.get', { name: 'rank' });
        throw new FluxError('ENOTDIR', 'told to reject');
      }
      const seen = [];
      let calls = 0;
      let configured = [];
      context.subscribe('probed.', ({ topic, json }) => seen.push([topic, json]));
      if (args.includes('loads')) context.log('notice', 'hello from ' + context.rank);
      const handler = (name, method) => ({ [name]: { handler: method } });
      return {
        services: args.filter((arg) => arg.startsWith('also=')).map((arg) => arg.slice(5)),
        methods: {
          ...handler('context', () => {
            const { name, uuid, rank, size, config } = context;
            const [hostlist, nosuch = null] = ['hostlist', 'nosuch'].map((each) => context.attribute(each));
            return { name, uuid, rank, size, args, setting: config.test?.setting ?? null, hostlist, nosuch, pid: process.pid };
          }),
          ...handler('rpc', ({ payload: { topic, payload, nodeid } }) => context.rpc(topic, payload, { nodeid })),
          ...handler('publish', ({ payload: { topic, payload } }) => context.publish(topic, payload)),
          ...handler('log', ({ payload: { severity, text } }) => context.log(severity, text)),
          ...handler('seen', () => ({ seen })),
          ...handler('configured', () => ({ configured })),
          ...handler('count', () => ({ calls: ++calls })),
          ...handler('later', (request) => {
            context.clock.after(0.01, () => request.respond({ late: true }));
            return LATER;
          }),
          ...handler('mute', () => LATER),
          ...handler('fail', () => { throw new FluxError('EXDEV', 'told to fail'); }),
          ...handler('bug', () => undefined.value),
          numbers: { streaming: true, handler: (request) => {
            for (let i = 0; i < request.payload.count; i++) request.respond({ i });
            request.endStream();
            return LATER;
          } },
          bytes: { raw: true, handler: ({ message }) => message.bytes },
          whoami: { allow: Role.user, handler: ({ userid, rolemask }) => ({ userid, rolemask }) },
        },
        stats: () => ({ calls }),
        clearStats() { calls = 0; },
        configure(config) {
          if (config.test?.setting === 'bad') throw new FluxError('EINVAL', 'the probe dislikes that');
          configured.push(config.test?.setting ?? null);
        },
        stop() { context.log('info', 'the probe stops'); },
      };
    },
  };`;
