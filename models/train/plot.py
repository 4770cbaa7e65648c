"""Draws the log as SVG: PSNR on the held-out crops over steps. python plot.py train.csv OUT.svg"""
import csv
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 400, 56, 72, 32, 40
COLOURS = ("#4477aa", "#228833", "#ccbb44", "#ee6677")


def read(path):
    """Steps counted over all stages, and one list of gains per noise, in dB since the first line."""
    rows = list(csv.DictReader(open(path, newline="")))
    noises = [key for key in rows[0] if key.startswith("psnr")]
    steps, before, last, stage = [], 0, 0, rows[0]["stage"]
    for row in rows:
        if row["stage"] != stage:
            before, stage = before + last, row["stage"]
        last = int(row["step"])
        steps.append(before + last)
    return steps, {n[4:]: [float(r[n]) for r in rows] for n in noises}


def draw(steps, curves):
    first = {n: c[0] for n, c in curves.items()}
    gains = {n: [v - first[n] for v in c] for n, c in curves.items()}
    low = min(min(g) for g in gains.values())
    high = max(max(max(g) for g in gains.values()), low + 0.1)
    x = lambda s: LEFT + (WIDTH - LEFT - RIGHT) * s / steps[-1]
    y = lambda g: TOP + (HEIGHT - TOP - BOTTOM) * (high - g) / (high - low)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="18">PSNR on held-out crops, gain in dB since the first evaluation</text>']
    for i in range(6):
        gain, step = low + (high - low) * i / 5, steps[-1] * i / 5
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(gain):.1f}" y2="{y(gain):.1f}" stroke="#ddd"/>'
                     f'<text x="{LEFT - 6}" y="{y(gain) + 4:.1f}" text-anchor="end">{gain:+.2f}</text>'
                     f'<text x="{x(step):.1f}" y="{HEIGHT - 14}" text-anchor="middle">{step / 1000:.1f}k</text>')
    for (noise, gain), colour in zip(gains.items(), COLOURS):
        points = " ".join(f"{x(s):.1f},{y(g):.1f}" for s, g in zip(steps, gain))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{WIDTH - RIGHT + 6}" y="{y(gain[-1]) + 4:.1f}" fill="{colour}">noise {noise}</text>')
    return "\n".join(parts + ["</svg>\n"])


if __name__ == "__main__":
    with open(sys.argv[2], "w") as out:
        out.write(draw(*read(sys.argv[1])))
