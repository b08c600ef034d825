import type { RunVideo } from "../../src/protocol/events.ts";
import type { Context } from "../context.ts";
import { button } from "../controls.ts";
import { el, fill, onWidth, setAttributes, setText, show } from "../dom.ts";
import { FrameStrip } from "../frame-strip.ts";
import { Section, type View } from "../section.ts";
import type { Topic } from "../store.ts";
import { reducedMotion } from "../theme.ts";
import { describeVideoToken } from "./token-text.ts";

type SampledFrame = RunVideo["frames"][number];

/** Shortest time a frame stays in the slideshow. */
const MIN_FRAME_MS = 200;

/** The clip playing, its sampled frames on the timeline, and the frames with the token grid. */
export class VideoView implements View {
  readonly id = "video";
  readonly section: Section;
  readonly #context: Context;
  readonly #strip: FrameStrip;
  readonly #stage = el("div", { class: "stage" });
  readonly #video = el("video", { playsinline: true, preload: "auto", hidden: true });
  readonly #slide = el("canvas", { class: "slide", hidden: true, role: "img" });
  readonly #marks = el("div", { class: "timeline-marks" });
  readonly #timeline = el("div", { class: "timeline" });
  readonly #seek = el("input", {
    type: "range",
    min: 0,
    max: 1000,
    step: 1,
    value: 0,
    "aria-label": "Position in the clip",
  });
  readonly #time = el("span", { class: "time" });
  readonly #play;
  readonly #note = el("p", { class: "note", hidden: true });
  #source: string | null = null;
  #slideshow = false;
  #slideAt = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(context: Context) {
    this.#context = context;
    this.section = new Section(context, "video", "Video", {
      exports: { table: () => this.#table(), drawing: () => this.#strip.drawing() },
    });
    this.#video.muted = true;
    this.#video.defaultMuted = true;
    this.#play = button("▶", () => this.#toggle(), { look: "icon", label: "Play the clip" });
    this.#timeline.append(this.#seek, this.#marks);
    this.#stage.append(
      this.#video,
      this.#slide,
      el("div", { class: "transport" }, this.#play, this.#timeline, this.#time),
      this.#note,
    );
    this.#strip = new FrameStrip(
      context,
      "Sampled frames with the token grid",
      (token) => describeVideoToken(context.store, token),
      62,
    );
    this.section.body.append(this.#stage, this.#strip.element);
    this.#listen();
  }

  available(): boolean {
    return this.#context.store.run !== null;
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.has("run") || changed.has("frames") || changed.has("theme")) {
      this.#renderSource();
      this.#strip.renderAll();
      this.#renderMarks();
      this.section.setRecipe(this.#recipe());
    } else if (changed.has("selection")) {
      this.#strip.renderOverlay();
    }
    if (changed.size > 1 || !changed.has("selection")) this.section.refresh();
  }

  #recipe(): string[] {
    const { run } = this.#context.store;
    if (run === null) return [];
    const { video } = run;
    const fps = video.fps === null ? "" : `, ${Number(video.fps.toFixed(2))} fps`;
    return [
      `${video.width} x ${video.height}${fps}, ${video.codec}`,
      `${video.frames.length} of ${video.frameCount} frames sampled`,
      `model sees ${Math.round(video.crop.width)} x ${Math.round(video.crop.height)} of each`,
    ];
  }

  /**
   * Length of the timeline, in seconds; from the sampled frames when the file does not say. Where the
   * clip has no clock it counts the frames themselves.
   */
  get #duration(): number {
    const video = this.#context.store.run?.video;
    return video?.durationSeconds ?? Math.max(1, ...(video?.frames ?? []).map(placeOf));
  }

  #renderSource(): void {
    const uri = this.#context.identity?.videoUri ?? null;
    if (uri !== null && uri !== this.#source) {
      this.#source = uri;
      this.#slideshow = false;
      this.#video.src = uri;
      setText(this.#note, "");
      show(this.#note, false);
    } else if (uri === null) {
      this.#source = null;
      this.#startSlideshow("");
    }
    show(this.#video, this.#source !== null && !this.#slideshow);
    show(this.#slide, this.#slideshow && this.#context.images.count > 0);
    if (this.#slideshow) this.#drawSlide();
  }

  #startSlideshow(note: string): void {
    this.#slideshow = true;
    setText(this.#note, note);
    show(this.#note, note !== "");
    show(this.#video, false);
    show(this.#slide, this.#context.images.count > 0);
    this.#drawSlide();
  }

  #drawSlide(): void {
    const { images, store } = this.#context;
    const picture = images.at(this.#slideAt);
    const frame = store.run?.video.frames[this.#slideAt];
    if (picture === null || frame === undefined) return;
    const canvas = this.#slide;
    canvas.width = picture.bitmap.width;
    canvas.height = picture.bitmap.height;
    canvas.getContext("2d")?.drawImage(picture.bitmap, 0, 0);
    setAttributes(canvas, { "aria-label": `Sampled frame ${this.#slideAt + 1}` });
    this.#showTime(placeOf(frame, this.#slideAt));
  }

  #renderMarks(): void {
    const { run } = this.#context.store;
    const length = this.#duration;
    fill(
      this.#marks,
      ...(run?.video.frames ?? []).map((frame, index) => {
        const mark = el("button", {
          type: "button",
          tabindex: -1,
          title: `Sampled frame ${index + 1}${atSecond(frame)}`,
          "aria-hidden": "true",
        });
        mark.style.left = `${Math.min(100, (placeOf(frame, index) / length) * 100)}%`;
        mark.addEventListener("click", () => this.#goTo(placeOf(frame, index)));
        return mark;
      }),
    );
  }

  #listen(): void {
    const video = this.#video;
    video.addEventListener("error", () => {
      if (this.#source === null) return;
      this.#startSlideshow(
        "This editor cannot play the clip; its sampled frames are shown instead.",
      );
    });
    video.addEventListener("loadedmetadata", () => {
      const start = this.#context.store.run?.video.start ?? 0;
      video.currentTime = start;
      // A calm start: once through, and not at all where motion is unwelcome.
      if (!reducedMotion()) void video.play().catch(() => {});
    });
    video.addEventListener("timeupdate", () => {
      const end = this.#context.store.run?.video.end;
      if (end !== undefined && video.currentTime >= end) video.pause();
      this.#showTime(video.currentTime);
    });
    for (const event of ["play", "pause", "ended"]) {
      video.addEventListener(event, () => this.#showPlaying(!video.paused && !video.ended));
    }
    this.#seek.addEventListener("input", () =>
      this.#goTo((this.#seek.valueAsNumber / 1000) * this.#duration),
    );
    onWidth(this.#timeline, () => this.#renderMarks());
  }

  #goTo(time: number): void {
    if (!this.#slideshow) {
      this.#video.currentTime = time;
      this.#showTime(time);
      return;
    }
    const frames = this.#context.store.run?.video.frames ?? [];
    const distances = frames.map((frame, index) => Math.abs(placeOf(frame, index) - time));
    this.#slideAt = Math.max(0, distances.indexOf(Math.min(...distances)));
    this.#drawSlide();
  }

  #toggle(): void {
    if (!this.#slideshow) {
      if (this.#video.paused) {
        const { start = 0, end } = this.#context.store.run?.video ?? {};
        if (end !== undefined && this.#video.currentTime >= end) this.#video.currentTime = start;
        void this.#video.play().catch(() => {});
      } else this.#video.pause();
      return;
    }
    if (this.#timer !== null) {
      clearTimeout(this.#timer);
      this.#timer = null;
      this.#showPlaying(false);
      return;
    }
    const frames = this.#context.store.run?.video.frames ?? [];
    if (this.#slideAt >= frames.length - 1) this.#slideAt = 0;
    this.#showPlaying(true);
    this.#step();
  }

  #step(): void {
    const frames = this.#context.store.run?.video.frames ?? [];
    this.#drawSlide();
    const [now, next] = [frames[this.#slideAt], frames[this.#slideAt + 1]];
    if (now === undefined || next === undefined) {
      this.#timer = null;
      this.#showPlaying(false);
      return;
    }
    const at = this.#slideAt;
    // A counterfactual clip runs backwards or jumps; its frames stay as long as they are apart.
    const apart = Math.abs(placeOf(next, at + 1) - placeOf(now, at));
    const pause = Math.max(MIN_FRAME_MS, apart * 1000);
    this.#timer = setTimeout(() => {
      this.#slideAt += 1;
      this.#step();
    }, pause);
  }

  #showPlaying(playing: boolean): void {
    setText(this.#play, playing ? "❚❚" : "▶");
    const label = playing ? "Pause the clip" : "Play the clip";
    setAttributes(this.#play, { "aria-label": label, title: label });
  }

  #showTime(time: number): void {
    const length = this.#duration;
    this.#seek.valueAsNumber = Math.round((time / length) * 1000);
    const { frames = [] } = this.#context.store.run?.video ?? {};
    const text = frames.some(({ timestampSeconds }) => timestampSeconds === null)
      ? `frame ${Math.round(time) + 1} of ${frames.length}`
      : `${time.toFixed(2)} / ${length.toFixed(2)} s`;
    setText(this.#time, text);
    this.#seek.setAttribute("aria-valuetext", text);
  }

  #table() {
    const { run } = this.#context.store;
    if (run === null) return null;
    return {
      caption: "Sampled frames",
      columns: [{ name: "Frame" }, { name: "index in the clip" }, { name: "seconds" }],
      rows: run.video.frames.map((frame, index) => [
        index + 1,
        frame.index,
        frame.timestampSeconds ?? "–",
      ]),
    };
  }
}

/** Where a frame stands on the timeline: its second, or its place where the clip has no clock. */
function placeOf({ timestampSeconds }: SampledFrame, index: number): number {
  return timestampSeconds ?? index;
}

function atSecond({ timestampSeconds }: SampledFrame): string {
  return timestampSeconds === null ? "" : ` at ${timestampSeconds.toFixed(2)} s`;
}
