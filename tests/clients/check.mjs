// What the clients share: cases by name, and a line for each.
export const base = process.env.LOWRANK_URL + 'v1', model = process.env.LOWRANK_MODEL, key = process.env.LOWRANK_KEY;

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

export async function run(client, cases) {
  let failed = 0;
  for (const [name, work] of Object.entries(cases)) {
    try {
      await work();
      console.log(`passed  ${client}: ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED  ${client}: ${name}: ${error?.message ?? error}`);
    }
  }
  process.exitCode = failed === 0 ? 0 : 1;
}
