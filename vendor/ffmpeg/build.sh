#!/bin/bash
# Remakes ffmpeg.wasm from its sources: vendor/ffmpeg/build.sh [folder to build in].
# Needs Debian 12 with: curl emscripten meson ninja-build make pkg-config xz-utils. See README.md.
# Archives that are in the folder already are not fetched again.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=${1:-$(mktemp -d)}
jobs=${JOBS:-2}
# Debian's own Python: version managers in front of it make each compilation slow.
export PATH=/usr/bin:/bin
mkdir -p "$work" && cd "$work" && work=$(pwd)

source_of() { # file, SHA-256, address
  [ -f "$1" ] || curl --fail --silent --show-error --location --output "$1" "$3"
  echo "$2  $1" | sha256sum --check --quiet
  tar --extract --file "$1"
}
source_of ffmpeg-8.1.2.tar.xz 464beb5e7bf0c311e68b45ae2f04e9cc2af88851abb4082231742a74d97b524c \
  https://ffmpeg.org/releases/ffmpeg-8.1.2.tar.xz
source_of dav1d-1.5.1.tar.xz 401813f1f89fa8fd4295805aa5284d9aed9bc7fc1fdbe554af4292f64cbabe21 \
  https://downloads.videolan.org/pub/videolan/dav1d/1.5.1/dav1d-1.5.1.tar.xz
source_of zlib-1.3.1.tar.gz 17e88863f3600672ab49182f217281b6fc4d3c762bde361935e436a95214d05c \
  https://github.com/madler/zlib/archive/refs/tags/v1.3.1.tar.gz

# zlib: inflating alone.
mkdir -p out/lib out/include
cp zlib-1.3.1/zlib.h zlib-1.3.1/zconf.h out/include
for unit in adler32 crc32 inflate inftrees inffast zutil uncompr; do
  emcc -O3 -c "zlib-1.3.1/$unit.c" -o "zlib-1.3.1/$unit.o"
done
emar rcs out/lib/libz.a zlib-1.3.1/{adler32,crc32,inflate,inftrees,inffast,zutil,uncompr}.o

# dav1d: C paths, one thread.
cat > emscripten.meson <<'END'
[binaries]
c = 'emcc'
ar = 'emar'
ranlib = 'emranlib'
strip = 'true'
[built-in options]
c_args = ['-O3', '-msimd128']
[host_machine]
system = 'emscripten'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'
END
[ -d dav1d-build ] || meson setup dav1d-build dav1d-1.5.1 --cross-file emscripten.meson \
  --buildtype release --default-library static -Denable_tools=false -Denable_tests=false \
  -Denable_asm=false --prefix "$work/out" --libdir lib
# meson asks for threads, which would need shared memory; dav1d is told to use none.
sed -i 's/ -pthread//g; s/ -sPTHREAD_POOL_SIZE=4//g' dav1d-build/build.ninja
ninja -C dav1d-build -j "$jobs" install
sed -i 's/ -pthread//g; s/ -sPTHREAD_POOL_SIZE=4//g; s|^prefix=.*|prefix=../out|' out/lib/pkgconfig/dav1d.pc

# FFmpeg. Its own WebAssembly routines need a newer clang; the compiler's vectoriser does well.
mkdir -p ffmpeg-build && cd ffmpeg-build
if [ ! -f ffbuild/config.mak ]; then
  PKG_CONFIG_LIBDIR=../out/lib/pkgconfig ../ffmpeg-8.1.2/configure \
    --enable-cross-compile --target-os=none --arch=wasm32 --cc=emcc --cxx=em++ --ar=emar \
    --ranlib=emranlib --nm=llvm-nm-14 --pkg-config=pkg-config --pkg-config-flags=--static \
    --prefix=../out --extra-cflags="-I../out/include -msimd128 -fmacro-prefix-map=$work/=" \
    --extra-ldflags=-L../out/lib --optflags=-O3 \
    --disable-everything --disable-autodetect --disable-programs --disable-doc \
    --disable-debug --disable-network --disable-avdevice --disable-avfilter --disable-swresample \
    --disable-pthreads --disable-simd128 --disable-runtime-cpudetect --disable-stripping \
    --disable-unstable --enable-zlib --enable-libdav1d \
    --enable-demuxer=mov,matroska,avi,gif,image_png_pipe,image_jpeg_pipe,image_webp_pipe,image_bmp_pipe \
    --enable-decoder=h264,hevc,vp8,vp9,libdav1d,mpeg4,msmpeg4v1,msmpeg4v2,msmpeg4v3,mpeg1video,mpeg2video,h263,mjpeg,prores,ffv1,rawvideo,gif,png,webp,bmp \
    --enable-parser=h264,hevc,vp8,vp9,av1,mpeg4video,mpegvideo,h263,mjpeg,png,webp,gif,bmp \
    --enable-bsf=extract_extradata,mpeg4_unpack_bframes,vp9_superframe_split
  # WebAssembly's own instructions, which configure does not know of: loads at any address, 64-bit
  # arithmetic, counting zero bits.
  sed -i -E 's/^(#define HAVE_FAST_(UNALIGNED|64BIT|CLZ)) 0/\1 1/' config.h
fi
make -j "$jobs" install
cd ..

emcc -O3 -msimd128 -Iout/include "$here/glue.c" -o ffmpeg.wasm --no-entry -Lout/lib \
  -lavformat -lavcodec -lswscale -lavutil -ldav1d -lz -sIMPORTED_MEMORY=1 \
  -sALLOW_MEMORY_GROWTH=1 -sINITIAL_MEMORY=16MB -sMAXIMUM_MEMORY=2GB -sTOTAL_STACK=4MB \
  -Wl,--stack-first -sEXPORTED_FUNCTIONS=_malloc,_free -sERROR_ON_UNDEFINED_SYMBOLS=0
cp ffmpeg.wasm "$here/ffmpeg.wasm"
sha256sum "$here/ffmpeg.wasm"
