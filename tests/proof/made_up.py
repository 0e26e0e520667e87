"""Small traces in the formats of the real ones, for --quick."""

import json
import random


def azure(path, seconds=120, per_second=5):
    """Prompts and answers of about the sizes of the conversation trace."""
    draw = random.Random(1)
    with open(path, "w", encoding="utf-8") as file:
        file.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        for i in range(seconds * per_second):
            at = i / per_second
            file.write(f"2023-11-16 18:{int(at // 60):02}:{at % 60:010.7f},{draw.randint(200, 2200)},"
                       f"{draw.randint(50, 400)}\n")
    return path


def mooncake(path, conversations=60, turns=4):
    """Conversations whose turns repeat what was said before."""
    draw = random.Random(2)
    rows = []
    for conversation in range(conversations):
        blocks = list(range(1000 * conversation, 1000 * conversation + draw.randint(4, 20)))
        at = draw.randint(0, 60_000)
        for turn in range(turns):
            blocks += range(1000 * conversation + 100 * (turn + 1), 1000 * conversation + 100 * (turn + 1) + 3)
            rows.append({"timestamp": at, "input_length": 512 * len(blocks), "output_length": draw.randint(20, 200),
                         "hash_ids": list(blocks)})
            at += draw.randint(5_000, 20_000)
    with open(path, "w", encoding="utf-8") as file:
        for row in sorted(rows, key=lambda row: row["timestamp"]):
            file.write(json.dumps(row) + "\n")
    return path
