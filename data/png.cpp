#include "wengert/autodiff/base/fail.h"
#include "wengert/autodiff/base/file.h"
#include "wengert/autodiff/ops.h"
#include "wengert/data/images.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#ifdef WENGERT_PNG
#include <png.h>
#endif

// A PNG file (https://www.w3.org/TR/png): eight bytes of signature, then chunks of a big-endian length, a name, data
// and a checksum. libpng reads files, by its interface without setjmp; writing needs little more than zlib.

namespace wengert::data {

using detail::FileTask;

namespace {

constexpr unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

using Bytes = std::vector<unsigned char>;

void put32(Bytes& to, std::uint64_t n) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<unsigned char>(n >> shift));
}

void put_chunk(Bytes& to, std::string_view name, const Bytes& data) {
  put32(to, data.size());
  const auto begin = to.size();
  to.insert(to.end(), name.begin(), name.end());
  to.insert(to.end(), data.begin(), data.end());
  put32(to, crc32_z(0, to.data() + begin, to.size() - begin));
}

// Rows of pixels, each after a byte for its filter: 0, none.
struct Picture {
  std::int64_t channels, height, width;
  Bytes rows = Bytes(static_cast<std::size_t>(height * (width * channels + 1)));

  unsigned char* pixel(std::int64_t y, std::int64_t x) {
    return &rows[static_cast<std::size_t>(y * (width * channels + 1) + 1 + x * channels)];
  }
};

Bytes encoded(const FileTask& task, const Picture& p) {
  constexpr unsigned char colors[] = {0, 0, 0, 2, 6};  // gray, RGB, RGBA
  Bytes file(signature, signature + 8), header, packed;
  put32(header, static_cast<std::uint64_t>(p.width)), put32(header, static_cast<std::uint64_t>(p.height));
  for (unsigned char c : {std::uint8_t(8), colors[p.channels], std::uint8_t(0), std::uint8_t(0), std::uint8_t(0)})
    header.push_back(c);
  uLongf size = compressBound(p.rows.size());
  packed.resize(size);
  if (compress2(packed.data(), &size, p.rows.data(), p.rows.size(), 6) != Z_OK) throw std::bad_alloc();
  packed.resize(size);
  if (size > 0x7fffffff) task.fail("the picture takes {} bytes; a chunk of a PNG file holds 2^31", size);
  put_chunk(file, "IHDR", header), put_chunk(file, "IDAT", packed), put_chunk(file, "IEND", {});
  return file;
}

template <class T>
void paint(Picture& to, const T* image, std::int64_t height, std::int64_t width, std::int64_t top, std::int64_t left,
           const PngOptions& o) {
  for (std::int64_t c = 0; c < to.channels; ++c)
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x) {
        const double v = (static_cast<double>(*image++) - o.low) / (o.high - o.low);
        to.pixel(top + y, left + x)[c] = static_cast<unsigned char>(v > 0 ? std::lround(std::min(v, 1.) * 255) : 0);
      }
}

}  // namespace

void write_png(const std::string& path, const Tensor& picture, PngOptions o, Where where) {
  if (!is_float(picture.dtype()))
    fail<TypeError>(where, "write_png: the picture must be float32 or float64, got {}", picture.dtype());
  const int rank = picture.rank();
  const std::int64_t c = rank >= 3 ? picture.size(rank - 3) : 1, n = rank == 4 ? picture.size(0) : 1;
  if (rank < 2 || rank > 4 || picture.numel() == 0 || (c != 1 && c != 3 && c != 4))
    fail<ShapeError>(where,
                     "write_png: a picture must be [height, width], [c, height, width] or [n, c, height, width] with "
                     "c = 1, 3 or 4, got {}",
                     picture.shape());
  if (!(o.low < o.high) || o.columns < 0 || o.gap < 0)
    fail<ValueError>(where, "write_png: low < high, columns >= 0 and gap >= 0 must hold; got {}, {}, {}, {}", o.low,
                     o.high, o.columns, o.gap);
  const Tensor x = contiguous(picture.detach());
  const std::int64_t h = x.size(-2), w = x.size(-1);
  const auto square = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(n))));
  const std::int64_t columns = std::min(n, o.columns ? o.columns : square), rows = (n + columns - 1) / columns;
  Picture canvas{c, rows * (h + o.gap) - o.gap, columns * (w + o.gap) - o.gap};
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t top = i / columns * (h + o.gap), left = i % columns * (w + o.gap), at = i * c * h * w;
    if (x.dtype() == float32) paint(canvas, x.read<float>().data() + at, h, w, top, left, o);
    else paint(canvas, x.read<double>().data() + at, h, w, top, left, o);
  }
  const FileTask task{"write_png", path, where};
  const Bytes file = encoded(task, canvas);
  const auto bytes = std::as_bytes(std::span(file));
  write_atomically(task, {&bytes, 1});
}

#ifndef WENGERT_PNG

Tensor read_png(const std::string& path, int, Where where) {
  FileTask{"read_png", path, where}.fail("this wengert was built without libpng; install libpng-dev and build again");
}

#else

namespace {

constexpr std::uint64_t most_pixels = std::uint64_t{1} << 26;

Bytes read_all(const FileTask& task) {
  const detail::File file(task);
  if (file.size() < 33) task.fail("{} bytes are too few for a PNG file", file.size());
  Bytes bytes(8);
  file.read(0, bytes.data(), 8);
  if (!std::equal(bytes.begin(), bytes.end(), signature)) task.fail("it does not begin as a PNG file does");
  bytes.resize(file.size());
  file.read(0, bytes.data(), bytes.size());
  return bytes;
}

// The sizes in the header must be possible for the file: zlib compresses at most 1032 bytes into one.
void check_size(const FileTask& task, const Bytes& file) {
  const auto big = [&](std::size_t i) {
    return std::uint64_t{file[i]} << 24 | std::uint64_t{file[i + 1]} << 16 | std::uint64_t{file[i + 2]} << 8 |
           file[i + 3];
  };
  constexpr std::uint64_t samples[] = {1, 0, 3, 1, 2, 0, 4};
  const std::uint64_t width = big(16), height = big(20), depth = file[24], color = file[25];
  if (big(8) != 13 || !std::equal(&file[12], &file[16], "IHDR") || color >= std::size(samples) || depth > 16)
    task.fail("its header is broken");
  if (width == 0 || height == 0 || width > most_pixels || height > most_pixels || width * height > most_pixels)
    task.fail("it says to have {} x {} pixels; 1 to {} can be read", width, height, most_pixels);
  const std::uint64_t bytes = height * (1 + (width * depth * samples[color] + 7) / 8);
  if (bytes / 1032 > file.size())
    task.fail("truncated: {} x {} pixels do not fit into {} bytes", width, height, file.size());
}

struct Freed {
  void operator()(png_image* image) const { png_image_free(image); }
};

}  // namespace

Tensor read_png(const std::string& path, int channels, Where where) {
  const FileTask task{"read_png", path, where};
  if (channels < 0 || channels > 4) fail<ValueError>(where, "read_png: channels must be 0 to 4, got {}", channels);
  const Bytes file = read_all(task);
  check_size(task, file);

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, Freed> whatever_happens(&image);
  if (!png_image_begin_read_from_memory(&image, file.data(), file.size())) task.fail("broken: {}", image.message);
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  const bool color = channels ? channels >= 3 : image.format & PNG_FORMAT_FLAG_COLOR,
             opacity = image.format & PNG_FORMAT_FLAG_ALPHA;
  if (!channels) channels = (color ? 3 : 1) + opacity;
  // Opacity is read if the file has it, or libpng would blend it into the colors.
  const bool read_opacity = opacity || channels % 2 == 0;
  image.format = (color ? PNG_FORMAT_FLAG_COLOR : 0) | (read_opacity ? PNG_FORMAT_FLAG_ALPHA : 0);
  const std::int64_t height = image.height, width = image.width, samples = (color ? 3 : 1) + read_opacity;
  Bytes pixels(static_cast<std::size_t>(height * width * samples));
  if (!png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr)) task.fail("broken: {}", image.message);

  Tensor result = empty({channels, height, width});
  float* to = detail::fresh<float>(result);
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < height * width; ++i)
      *to++ = static_cast<float>(pixels[static_cast<std::size_t>(i * samples + c)]) / 255.f;
  return result;
}

#endif

}  // namespace wengert::data
