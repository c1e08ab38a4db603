// embed FILE SOURCE SYMBOL: writes a C++ source that defines SYMBOL[] with the bytes of FILE, and SYMBOL_size.
// A program of our own, because `xxd` may be missing and `.incbin` hides the file from the build's dependencies.

#include <fstream>
#include <iterator>
#include <string>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  std::ifstream in(argv[1], std::ios::binary);
  std::ofstream out(argv[2]);
  const std::string symbol = argv[3];

  out << "#include \"wengert/data/embedded.h\"\n\n";
  out << "const unsigned char " << symbol << "[] = {";
  std::size_t size = 0;
  for (std::istreambuf_iterator<char> byte(in), end; byte != end; ++byte, ++size)
    out << (size % 32 == 0 ? "\n" : "") << int(static_cast<unsigned char>(*byte)) << ',';
  out << "\n};\nconst std::size_t " << symbol << "_size = sizeof " << symbol << ";\n";

  out.flush();
  return in.bad() || !out || size == 0;
}
