/*
 * The interface between our TypeScript and FFmpeg's libraries: one file, the video stream that a
 * player would take, packets, frames, RGB. Numbers that belong together come back in `Input.facts`
 * (doubles; NaN where FFmpeg does not know), so that a caller reads them straight from memory.
 *
 * A file is read through the imported host_read; nothing else of the machine can be reached: no
 * protocol is compiled in. Damaged data are passed over as FFmpeg does, and told: packets that are
 * shorter than their size, that cannot be read or decoded, frames that were patched up. Running out
 * of memory is remembered, for what was left out then is no matter of the file.
 */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/imgutils.h>
#include <libavutil/mem.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <emscripten.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT EMSCRIPTEN_KEEPALIVE
#define IO_BYTES (256 << 10)
/* Packets in a row that may fail to be read before the rest of the file is given up. */
#define MAX_FAILURES 64
/* Lines of fewer bytes are too short for the scratch memory of the decoders of MPEG-4 and its kin. */
#define SHORTEST_LINE 32

/* Reads up to `size` bytes at `position` of the file; 0 at its end, negative on failure. */
__attribute__((import_module("host"), import_name("read")))
extern int host_read(double position, uint8_t *to, int size);

/* What the C library would ask of a system with files and users. */
int __syscall_stat64(int path, int to) { return -ENOSYS; }
int __syscall_fstat64(int fd, int to) { return -ENOSYS; }
int __syscall_lstat64(int path, int to) { return -ENOSYS; }
int __syscall_fstatat64(int fd, int path, int to, int flags) { return -ENOSYS; }
int __syscall_getdents64(int fd, int to, int count) { return -ENOSYS; }
int __syscall_getuid32(void) { return 0; }

typedef struct Input {
    double facts[12];
    int64_t position, size;
    AVFormatContext *format;
    AVIOContext *io;
    AVStream *stream;
    int video_streams, chosen_video;
    struct Stated { int packets, width, height; } *stated;
    int stated_streams;
    AVPacket *packet;
    AVCodecContext *codec;
    AVFrame *frame;
    struct SwsContext *scaler;
    int still;
    uint8_t *rgb;
    double unreadable, undecodable, codec_errors;
} Input;

static int out_of_memory;
/* What FFmpeg called errors while reading containers, and while decoding, since the module was loaded. */
static double format_errors, codec_errors;

/*
 * Damage is often told in FFmpeg's messages alone: a broken Matroska cluster is skipped, a broken Motion
 * JPEG shown as far as it goes. Their number is kept, their texts are not.
 */
static void count_errors(void *context, int level, const char *format, va_list arguments)
{
    const AVClass *class = context ? *(const AVClass **)context : NULL;
    if (!class || level > AV_LOG_ERROR) return;
    if (class == avformat_get_class()) format_errors++;
    else if (class == avcodec_get_class()) codec_errors++;
}

/* Whether anything was left out for want of memory since the module was loaded. */
EXPORT int fp_out_of_memory(void) { return out_of_memory; }

/* Passes on FFmpeg's result, remembering that memory ran out. */
static int noted(int result)
{
    if (result == AVERROR(ENOMEM)) out_of_memory = 1;
    return result;
}

static int read_bytes(void *opaque, uint8_t *to, int size)
{
    Input *in = opaque;
    int count = host_read((double)in->position, to, size);
    if (count == 0) return AVERROR_EOF;
    if (count < 0) return AVERROR(EIO);
    in->position += count;
    return count;
}

static int64_t seek_to(void *opaque, int64_t offset, int whence)
{
    Input *in = opaque;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE) return in->size;
    if (whence == SEEK_CUR) offset += in->position;
    if (whence == SEEK_END) offset += in->size;
    if (offset < 0) return AVERROR(EINVAL);
    return in->position = offset;
}

static double time_of(int64_t value)
{
    return value == AV_NOPTS_VALUE ? NAN : (double)value;
}

EXPORT void fp_close(Input *in)
{
    if (!in) return;
    sws_free_context(&in->scaler);
    avcodec_free_context(&in->codec);
    av_frame_free(&in->frame);
    av_packet_free(&in->packet);
    avformat_close_input(&in->format);
    if (in->io) av_freep(&in->io->buffer);
    avio_context_free(&in->io);
    av_freep(&in->rgb);
    av_freep(&in->stated);
    av_free(in);
}

/*
 * The stream that FFmpeg's programs, decord and torchcodec take: the default one, of those alike the
 * one with most frames, by what was read while looking at the file.
 */
static void choose_stream(Input *in)
{
    AVFormatContext *format = in->format;
    int best;
    /* A cover or thumbnail that says it is one must not win, whatever its other marks. */
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (format->streams[i]->disposition & AV_DISPOSITION_ATTACHED_PIC)
            format->streams[i]->codecpar->codec_type = AVMEDIA_TYPE_ATTACHMENT;
    best = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    for (unsigned i = 0; i < format->nb_streams; i++) {
        AVStream *stream = format->streams[i];
        if (stream->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) in->video_streams++;
        if ((int)i == best) {
            in->stream = stream;
            in->chosen_video = in->video_streams;
        } else {
            stream->discard = AVDISCARD_ALL;
        }
    }
}

/*
 * Reads into the file as far as its streams' sizes and rates need it. Pictures of more than
 * `max_pixels` are not decoded for that. What the header states is noted first: some demuxers make up
 * an index as they read, and a size that is refused is forgotten.
 */
static void look_into(Input *in, double max_pixels)
{
    unsigned count = in->format->nb_streams;
    AVDictionary **options = av_calloc(count + 1, sizeof(*options));
    in->stated = av_calloc(count + 1, sizeof(*in->stated));
    if (!options || !in->stated) {
        noted(AVERROR(ENOMEM));
        av_free(options);
        return;
    }
    in->stated_streams = (int)count;
    for (unsigned i = 0; i < count; i++)
        av_dict_set_int(&options[i], "max_pixels", (int64_t)max_pixels, 0);
    for (unsigned i = 0; i < count; i++)
        in->stated[i] = (struct Stated){ avformat_index_get_entries_count(in->format->streams[i]),
                                         in->format->streams[i]->codecpar->width,
                                         in->format->streams[i]->codecpar->height };
    noted(avformat_find_stream_info(in->format, options));
    for (unsigned i = 0; i < count; i++) av_dict_free(&options[i]);
    av_free(options);
}

/*
 * Opens a file with one of the `demuxers` (names with commas between), by `forced` alone where that
 * is not empty. Null where none of them can read it.
 */
EXPORT Input *fp_open(double size, const char *demuxers, const char *forced, double max_pixels)
{
    const AVInputFormat *demuxer = *forced ? av_find_input_format(forced) : NULL;
    AVDictionary *options = NULL;
    uint8_t *buffer;
    Input *in;
    int opened;

    av_log_set_callback(count_errors);
    if (*forced && !demuxer) return NULL;
    if (!(in = av_mallocz(sizeof(*in)))) {
        noted(AVERROR(ENOMEM));
        return NULL;
    }
    in->size = (int64_t)size;
    in->packet = av_packet_alloc();
    in->frame = av_frame_alloc();
    in->format = avformat_alloc_context();
    buffer = av_malloc(IO_BYTES);
    if (buffer && !(in->io = avio_alloc_context(buffer, IO_BYTES, 0, in, read_bytes, NULL, seek_to)))
        av_freep(&buffer);
    if (!in->packet || !in->frame || !in->format || !in->io) {
        noted(AVERROR(ENOMEM));
        fp_close(in);
        return NULL;
    }
    in->format->pb = in->io;
    av_dict_set(&options, "format_whitelist", *forced ? forced : demuxers, 0);
    opened = noted(avformat_open_input(&in->format, "", demuxer, &options));
    av_dict_free(&options);
    if (opened < 0) {
        fp_close(in);
        return NULL;
    }
    look_into(in, max_pixels);
    choose_stream(in);
    return in;
}

EXPORT double *fp_facts(Input *in) { return in->facts; }

/*
 * Seconds that the file says a stream lasts: by the stream's own tag (Matroska: "DURATION",
 * 00:00:02.000000000), or as the only stream of the file. NaN where it does not say.
 */
static double promised_seconds(const AVFormatContext *format, const AVStream *stream)
{
    const AVDictionaryEntry *entry = av_dict_get(stream->metadata, "DURATION", NULL, 0);
    double hours = 0, minutes = 0, seconds = 0, *part[] = { &hours, &minutes, &seconds };
    const char *at = entry ? entry->value : "";
    if (!entry)
        return format->nb_streams == 1 && format->duration > 0
                   ? format->duration / (double)AV_TIME_BASE : NAN;
    for (int i = 0; i < 3; i++) {
        char *end;
        *part[i] = strtod(at, &end);
        if (end == at || *end != (i < 2 ? ':' : 0)) return NAN;
        at = end + 1;
    }
    return hours * 3600 + minutes * 60 + seconds;
}

/*
 * 0 where there is no video; else facts: width, height, fps, time base, start in seconds, video
 * streams, the chosen one among them from 1, and what the file promises of it before it is read:
 * frames (0: it does not say), packets in its index, seconds.
 */
EXPORT int fp_stream(Input *in)
{
    const AVStream *stream = in->stream;
    int64_t start = in->format->start_time;
    struct Stated stated = { 0 };
    int known;
    if (!stream) return 0;
    if (stream->index < in->stated_streams) stated = in->stated[stream->index];
    known = stream->codecpar->width > 0 && stream->codecpar->height > 0;
    in->facts[0] = known ? stream->codecpar->width : stated.width;
    in->facts[1] = known ? stream->codecpar->height : stated.height;
    in->facts[2] = stream->avg_frame_rate.den ? av_q2d(stream->avg_frame_rate) : 0;
    in->facts[3] = stream->time_base.den ? av_q2d(stream->time_base) : 0;
    in->facts[4] = start == AV_NOPTS_VALUE ? NAN : start / (double)AV_TIME_BASE;
    in->facts[5] = in->video_streams;
    in->facts[6] = in->chosen_video;
    in->facts[7] = stream->nb_frames;
    in->facts[8] = stated.packets;
    in->facts[9] = promised_seconds(in->format, stream);
    return 1;
}

/* FFmpeg's name of the video's codec; of a sound stream's codec where there is no video; or null. */
EXPORT const char *fp_codec(Input *in)
{
    if (in->stream) return avcodec_get_name(in->stream->codecpar->codec_id);
    for (unsigned i = 0; i < in->format->nb_streams; i++) {
        const AVCodecParameters *parameters = in->format->streams[i]->codecpar;
        if (parameters->codec_type == AVMEDIA_TYPE_AUDIO) return avcodec_get_name(parameters->codec_id);
    }
    return NULL;
}

EXPORT const char *fp_demuxer(Input *in) { return in->format->iformat->name; }

/* The major brand of an MP4 or MOV file, or null. */
EXPORT const char *fp_brand(Input *in)
{
    const AVDictionaryEntry *entry = av_dict_get(in->format->metadata, "major_brand", NULL, 0);
    return entry ? entry->value : NULL;
}

/* The stream's display matrix, 36 bytes, or null. */
EXPORT const uint8_t *fp_stream_matrix(Input *in)
{
    const AVCodecParameters *parameters = in->stream->codecpar;
    const AVPacketSideData *data =
        av_packet_side_data_get(parameters->coded_side_data, parameters->nb_coded_side_data,
                                AV_PKT_DATA_DISPLAYMATRIX);
    return data && data->size >= 36 ? data->data : NULL;
}

/*
 * Whether the packet holds nothing that decoding another one could need. Told for H.264 in MP4 and
 * Matroska alone (ITU-T H.264, 7.4.1: slices whose nal_ref_idc is 0 are not referred to; beside them
 * only supplemental data, delimiters and filler are let pass).
 */
static int is_disposable(const AVStream *stream, const AVPacket *packet)
{
    const AVCodecParameters *parameters = stream->codecpar;
    const uint8_t *at = packet->data, *end = at + packet->size;
    int width, slices = 0;
    if (parameters->codec_id != AV_CODEC_ID_H264 || parameters->extradata_size < 7 ||
        parameters->extradata[0] != 1)
        return 0;
    width = (parameters->extradata[4] & 3) + 1;
    while (end - at > width) {
        uint32_t size = 0;
        for (int i = 0; i < width; i++) size = size << 8 | *at++;
        if (size == 0 || size > end - at) return 0;
        switch (at[0] & 31) {
        case 1: case 2: case 3: case 4: case 5:
            if (at[0] & 0x60) return 0;
            slices++;
            break;
        case 6: case 9: case 12:
            break;
        default:
            return 0;
        }
        at += size;
    }
    return at == end && slices > 0;
}

/* Whether the packet changes what those after it are decoded with, and is told of it only once. */
static int changes_state(const AVPacket *packet)
{
    return av_packet_get_side_data(packet, AV_PKT_DATA_PALETTE, NULL) ||
           av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, NULL) ||
           av_packet_get_side_data(packet, AV_PKT_DATA_PARAM_CHANGE, NULL);
}

/*
 * The next packet of the video. 0 at the end, with facts: packets in the index by now, and packets
 * that could not be read. Else facts: pts, dts, key, hidden (decoded but never shown), disposable,
 * changes_state, and whether it is shorter than its size.
 */
EXPORT int fp_next_packet(Input *in)
{
    AVPacket *packet = in->packet;
    int result, failures = 0;
    double errors = format_errors;
    av_packet_unref(packet);
    while ((result = noted(av_read_frame(in->format, packet))) != AVERROR_EOF) {
        if (result < 0 || format_errors > errors) in->unreadable++;
        errors = format_errors;
        if (result < 0) {
            if (result == AVERROR(ENOMEM) || result == AVERROR(EIO) || ++failures > MAX_FAILURES) break;
            continue;
        }
        failures = 0;
        if (packet->stream_index == in->stream->index) {
            /* RFC 6386, 9.1: bit 4 of a VP8 frame's first byte is show_frame. */
            int hidden = in->stream->codecpar->codec_id == AV_CODEC_ID_VP8 && packet->size > 0 &&
                         !(packet->data[0] & 0x10);
            in->facts[0] = time_of(packet->pts);
            in->facts[1] = time_of(packet->dts);
            in->facts[2] = !!(packet->flags & AV_PKT_FLAG_KEY);
            in->facts[3] = hidden || (packet->flags & AV_PKT_FLAG_DISCARD);
            in->facts[4] = is_disposable(in->stream, packet);
            in->facts[5] = changes_state(packet);
            in->facts[6] = !!(packet->flags & AV_PKT_FLAG_CORRUPT);
            return 1;
        }
        av_packet_unref(packet);
    }
    if (format_errors > errors) in->unreadable++;
    in->facts[0] = avformat_index_get_entries_count(in->stream);
    in->facts[1] = in->unreadable;
    return 0;
}

EXPORT int fp_seek(Input *in, double timestamp)
{
    if (in->codec) avcodec_flush_buffers(in->codec);
    in->codec_errors = codec_errors;
    return noted(av_seek_frame(in->format, in->stream->index, (int64_t)timestamp,
                               AVSEEK_FLAG_BACKWARD)) >= 0;
}

/* Memory for a frame: as FFmpeg's own, but for narrow pictures, whose lines it makes too short. */
static int get_buffer(AVCodecContext *codec, AVFrame *frame, int flags)
{
    int width = frame->width, height = frame->height, result;
    if (width >= SHORTEST_LINE) return avcodec_default_get_buffer2(codec, frame, flags);
    avcodec_align_dimensions(codec, &frame->width, &frame->height);
    frame->width = FFMAX(frame->width, SHORTEST_LINE);
    result = noted(av_frame_get_buffer(frame, SHORTEST_LINE));
    frame->width = width;
    frame->height = height;
    return result;
}

/* Returns 1; 0 where there is no decoder for the codec; -1 where it refuses the stream. */
EXPORT int fp_decoder(Input *in, int still, double max_pixels)
{
    const AVCodec *codec = avcodec_find_decoder(in->stream->codecpar->codec_id);
    if (!codec) return 0;
    in->still = still;
    in->scaler = sws_alloc_context();
    in->codec = avcodec_alloc_context3(codec);
    if (!in->scaler || !in->codec) {
        noted(AVERROR(ENOMEM));
        return -1;
    }
    if (noted(avcodec_parameters_to_context(in->codec, in->stream->codecpar)) < 0) return -1;
    in->codec->pkt_timebase = in->stream->time_base;
    in->codec->thread_count = 1;
    in->codec->max_pixels = (int64_t)max_pixels;
    in->codec->get_buffer2 = get_buffer;
    in->codec->err_recognition |= still ? AV_EF_EXPLODE : AV_EF_CRCCHECK;
    in->scaler->flags = SWS_BILINEAR | (still ? SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND : 0);
    if (noted(avcodec_open2(in->codec, codec, NULL)) < 0) return -1;
    in->codec_errors = codec_errors;
    return 1;
}

static int decoded(Input *in, int result)
{
    if (result < 0 && result != AVERROR(EAGAIN) && result != AVERROR_EOF) in->undecodable++;
    return noted(result);
}

/* Sends the current packet, or the end of the stream, to the decoder. */
EXPORT void fp_send(Input *in, int end)
{
    decoded(in, avcodec_send_packet(in->codec, end ? NULL : in->packet));
}

/* Packets that the decoder made nothing of, since the file was opened. */
EXPORT double fp_undecodable(Input *in) { return in->undecodable; }

/* 0 where no frame is ready; else facts: pts, width, height, whether it was patched up, key. */
EXPORT int fp_receive(Input *in)
{
    int complained;
    if (decoded(in, avcodec_receive_frame(in->codec, in->frame)) < 0) return 0;
    in->facts[0] = time_of(in->frame->best_effort_timestamp);
    in->facts[1] = in->frame->width;
    in->facts[2] = in->frame->height;
    /* A decoder that gives each frame at once has just complained of this one. */
    complained = codec_errors > in->codec_errors && !(in->codec->codec->capabilities & AV_CODEC_CAP_DELAY);
    in->codec_errors = codec_errors;
    in->facts[3] = complained || in->frame->decode_error_flags ||
                   (in->frame->flags & AV_FRAME_FLAG_CORRUPT);
    in->facts[4] = !!(in->frame->flags & AV_FRAME_FLAG_KEY);
    return 1;
}

/* The display matrix that came with the frame (EXIF), 36 bytes, or null. */
EXPORT const uint8_t *fp_frame_matrix(Input *in)
{
    const AVFrameSideData *data = av_frame_get_side_data(in->frame, AV_FRAME_DATA_DISPLAYMATRIX);
    return data && data->size >= 36 ? data->data : NULL;
}

static uint8_t clipped(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

/*
 * 8-bit YUV with halved chroma columns to RGB in 16-bit fixed point, products rounded down: what
 * swscale does on x86 (where PyAV's and torchcodec's figures come from). Its portable path rounds
 * through tables instead and is up to a few levels off.
 */
static void convert_like_x86(const AVFrame *frame, uint8_t *rgb, int halved_rows)
{
    const int *matrix = sws_getCoefficients(frame->colorspace);
    int full = frame->color_range == AVCOL_RANGE_JPEG || frame->format == AV_PIX_FMT_YUVJ420P ||
               frame->format == AV_PIX_FMT_YUVJ422P;
    int interlaced = !!(frame->flags & AV_FRAME_FLAG_INTERLACED);
    int luma = full ? 65536 : 65536 * 255 / 219, black = full ? 0 : 128;
    int factor[4];
    for (int i = 0; i < 4; i++) {
        int64_t value = full ? (int64_t)matrix[i] * 224 / 255 : matrix[i];
        if (i >= 2) value = -value;
        factor[i] = (int)((value * 8192 + 32768) >> 16);
    }
    luma = (int)(((int64_t)luma * 8192 + 32768) >> 16);
    for (int y = 0; y < frame->height; y++) {
        /* Chroma rows of interlaced frames alternate between the fields as luma rows do. */
        int chroma = !halved_rows ? y : interlaced ? (y >> 2) * 2 + (y & 1) : y >> 1;
        const uint8_t *row = frame->data[0] + (ptrdiff_t)y * frame->linesize[0];
        const uint8_t *us = frame->data[1] + (ptrdiff_t)chroma * frame->linesize[1];
        const uint8_t *vs = frame->data[2] + (ptrdiff_t)chroma * frame->linesize[2];
        for (int x = 0; x < frame->width; x++, rgb += 3) {
            int u = us[x >> 1] * 8 - 1024, v = vs[x >> 1] * 8 - 1024;
            int grey = ((row[x] * 8 - black) * luma) >> 16;
            rgb[0] = clipped(grey + ((v * factor[0]) >> 16));
            rgb[1] = clipped(grey + ((u * factor[2]) >> 16) + ((v * factor[3]) >> 16));
            rgb[2] = clipped(grey + ((u * factor[1]) >> 16));
        }
    }
}

/* Whether swscale would take its x86 shortcut for the frame: halved chroma, whole pairs of rows. */
static int has_shortcut(const AVFrame *frame, int *halved_rows)
{
    int rows = frame->flags & AV_FRAME_FLAG_INTERLACED ? 4 : 2;
    *halved_rows = frame->format != AV_PIX_FMT_YUV422P && frame->format != AV_PIX_FMT_YUVJ422P;
    if (frame->height % rows) return 0;
    return !*halved_rows || frame->format == AV_PIX_FMT_YUV420P ||
           frame->format == AV_PIX_FMT_YUVJ420P || frame->format == AV_PIX_FMT_YUVA420P;
}

/* The received frame as packed RGB (its own matrix and range), valid until the next call; or null. */
EXPORT const uint8_t *fp_rgb(Input *in)
{
    const AVPixFmtDescriptor *kind;
    AVFrame *frame = in->frame, *converted;
    int width = frame->width, height = frame->height, done, halved_rows;
    av_freep(&in->rgb);
    if (!in->still && has_shortcut(frame, &halved_rows)) {
        if ((in->rgb = av_malloc((size_t)width * height * 3)))
            convert_like_x86(frame, in->rgb, halved_rows);
        else
            noted(AVERROR(ENOMEM));
        return in->rgb;
    }
    if (!(converted = av_frame_alloc())) {
        noted(AVERROR(ENOMEM));
        return NULL;
    }
    /* Transfer and primaries are left alone; some tags would be refused. */
    frame->color_trc = AVCOL_TRC_UNSPECIFIED;
    frame->color_primaries = AVCOL_PRI_UNSPECIFIED;
    if (in->still && (kind = av_pix_fmt_desc_get(frame->format)) &&
        !(kind->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL))) {
        /* Chroma of a still reaches beyond an odd-sized picture: it must scale by whole numbers. */
        frame->width = FFALIGN(width, 1 << kind->log2_chroma_w);
        frame->height = FFALIGN(height, 1 << kind->log2_chroma_h);
    }
    converted->format = AV_PIX_FMT_RGB24;
    converted->width = frame->width;
    converted->height = frame->height;
    converted->flags = frame->flags; /* interlaced frames are converted field by field */
    done = noted(av_frame_get_buffer(converted, 0));
    if (done >= 0) done = noted(sws_scale_frame(in->scaler, converted, frame));
    if (done >= 0 && !(in->rgb = av_malloc((size_t)width * height * 3)))
        noted(AVERROR(ENOMEM));
    if (in->rgb)
        av_image_copy_plane(in->rgb, width * 3, converted->data[0], converted->linesize[0], width * 3,
                            height);
    av_frame_free(&converted);
    return in->rgb;
}
