// Points of values as the page makes them: reads {hands, values, mended, arms} from a file, writes the points to stdout.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2);
const figure = await import(pathToFileURL(`${folder}/figure.js`));
const mend = await import(pathToFileURL(`${folder}/mend.js`));
const { parsed } = await import(pathToFileURL(`${folder}/value.js`));
const asked = JSON.parse(readFileSync(file, "utf-8"));

const hands = asked.hands.map(([hand, side]) => figure.handPoints(hand, side));
const clips = asked.values.map((value) =>
    figure.frameTimes(value).map((time) => figure.pointsOf(figure.keyAt(value.keys, time)))
);
const mended = asked.mended.map(({ ground, value, times }) => {
    const read = parsed(JSON.stringify(value));
    return times.map((time) => mend.mended(mend.groundAt(ground, time, read.picture), read));
});
const elbows = asked.arms.map((arm) => mend.bentElbow(...arm));
process.stdout.write(JSON.stringify({ hands, clips, mended, elbows }));
