"""What every C header of the plugin ABI keeps to. Run by ctest: header_lint.py INCLUDE_DIR LAYOUT_FILE

 - each function pointer of a struct has exactly one of [control] [hot] [any] in its comments: the one above it, or
   the one behind it on its line;
 - no bool, enum, union or type without a size in a member or an inline function;
 - a header includes <stddef.h>, <stdint.h> and sluice/ only;
 - the layout file states the place of every member of every struct.
"""
import pathlib
import re
import sys

WORDS = re.compile(r"\[(control|hot|any)\]")
FORBIDDEN = re.compile(r"\b(bool|_Bool|enum|union|int|long|short|unsigned|wchar_t)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\n\} \1;", re.S)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def members(body):
    """(declaration, its comments) for each member of a struct's body."""
    result, above, declaration = [], "", ""
    same_line = False  # as the end of the last member
    for piece in re.split(r"(/\*.*?\*/|;|\n)", body, flags=re.S):
        if piece.startswith("/*"):
            if same_line:
                result[-1][1] += piece
            else:
                above += piece
        elif piece == ";":
            result.append([" ".join(declaration.split()), above])
            above, declaration, same_line = "", "", True
        else:
            declaration += piece
            same_line = same_line and piece != "\n"
    return result


def names(declaration):
    pointer = re.search(r"\(\*(\w+)\)\s*\(", declaration)
    if pointer:
        return [pointer[1]]
    return [re.search(r"(\w+)(\[\d+\])?$", part.strip())[1] for part in declaration.split(",")]


def lint(include_dir, layout_file):
    faults, functions = [], 0
    layout = set(re.findall(r"^AT\((\w+), (\w+), \d+\);", layout_file.read_text(), re.M))
    for header in sorted(include_dir.glob("*.h")):
        text = header.read_text()
        for name in INCLUDE.findall(text):
            if name not in ("stddef.h", "stdint.h") and not name.startswith("sluice/"):
                faults.append(f"{header.name}: includes {name}")
        for struct, body in STRUCT.findall(text):
            for declaration, comments in members(body):
                if FORBIDDEN.search(declaration):
                    faults.append(f"{header.name}: {struct}: not a sized type: {declaration}")
                for name in names(declaration):
                    if (struct, name) not in layout:
                        faults.append(f"{layout_file.name}: nothing about {struct}.{name}")
                if "(*" in declaration:
                    functions += 1
                    if len(WORDS.findall(comments)) != 1:
                        faults.append(f"{header.name}: {struct}.{names(declaration)[0]}: "
                                      f"thread words {WORDS.findall(comments)}, not one")
        for line in COMMENT.sub("", text).splitlines():
            if "static inline" in line and FORBIDDEN.search(line):
                faults.append(f"{header.name}: not a sized type: {line.strip()}")
    if functions == 0:
        faults.append(f"{include_dir}: no function found")
    return faults


if __name__ == "__main__":
    found = lint(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    print("\n".join(found) if found else "headers are clean")
    sys.exit(1 if found else 0)
