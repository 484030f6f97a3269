// What the clients share: cases by name, and a line for each, in columns: client, case, result, reason.
export const root = process.env.LOWRANK_URL, base = root + 'v1', key = process.env.LOWRANK_KEY;
export const model = process.env.LOWRANK_MODEL, baseModel = process.env.LOWRANK_BASE;

export const look = {
  type: 'object', properties: { id: { type: 'string', enum: ['a', 'b'] } }, required: ['id'],
  additionalProperties: false,
};

export function equal(found, expected, what) {
  if (JSON.stringify(found) !== JSON.stringify(expected))
    throw new Error(`${what}: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}

export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

/** Asserts that something fails, and returns how. */
export async function failure(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

/** How many texts the server works on. */
export async function running() {
  const page = await (await fetch(root + 'metrics', { headers: { Authorization: `Bearer ${key}` } })).text();
  return Number(/^lowrank_requests_running(?:\{.*\})? (\S+)$/m.exec(page)[1]);
}

/** Asserts that the server, which a client has just left, ends the work; without it the text would go on for long. */
export async function ends(left) {
  for (let tries = 0; tries < 100; tries++) {
    if (await running() === 0) return;
    await new Promise(done => setTimeout(done, 50));
  }
  throw new Error(left + ': the server still writes');
}

export async function run(client, cases) {
  let failed = 0;
  for (const [name, work] of Object.entries(cases)) {
    try {
      await work();
      console.log(`${client}\t${name}\tpassed\t`);
    } catch (error) {
      failed++;
      console.log(`${client}\t${name}\tFAILED\t${String(error?.message ?? error).replaceAll(/\s+/g, ' ')}`);
    }
  }
  process.exitCode = failed === 0 ? 0 : 1;
}
