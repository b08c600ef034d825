import type { Context } from "../context.ts";
import { badge, button, progressBar } from "../controls.ts";
import { el, fill, percent, progressShare, seconds, setText, show } from "../dom.ts";
import type { Topic } from "../store.ts";

const PHASES = {
  open: "Opening the model",
  video: "Reading the video",
  vision: "Encoding the frames",
  decoder: "Clean pass",
  experiment: "Experiments",
  generation: "Generating",
} as const;

/** The panel's head: model, question, answer, and what the engine is doing with a way to stop it. */
export class Header {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #model = el("div", { class: "model" });
  readonly #question = el("h1", { class: "question" });
  readonly #answer = el("div", { class: "answer", role: "status" });
  readonly #status = el("div", { class: "status" });
  readonly #statusText = el("span", { class: "status-text", role: "status" });
  readonly #bar = progressBar("Progress of the analysis");
  readonly #cancel = button("Cancel", () => void this.#cancelRun(), {
    label: "Cancel the analysis",
  });
  readonly #restart = button("Restart", () => void this.#ask("restartEngine"), {
    look: "primary",
    label: "Restart the engine",
  });
  readonly #log = button("Show Log", () => void this.#ask("showLog"), {
    label: "Show the engine's log",
  });
  readonly #export = button("Export", () => void this.#exportHtml(), {
    look: "icon",
    label: "Export the whole panel as one HTML file",
  });
  readonly #notices = el("ul", { class: "notices" });
  readonly #said = el("p", { class: "said", role: "status", "aria-live": "polite" });
  #cancelling = false;

  constructor(context: Context) {
    this.#context = context;
    this.#status.append(
      this.#statusText,
      this.#bar.element,
      this.#cancel,
      this.#restart,
      this.#log,
    );
    this.element = el(
      "header",
      { class: "head" },
      el("div", { class: "head-line" }, this.#model, this.#export),
      this.#question,
      el("div", { class: "head-line wrap" }, this.#answer, this.#status),
      this.#notices,
      this.#said,
    );
  }

  say(message: string): void {
    setText(this.#said, message);
  }

  render(changed: ReadonlySet<Topic>): void {
    if (changed.has("run")) this.#renderRun();
    if (changed.has("run") || changed.has("answer")) this.#renderAnswer();
    if (changed.has("notices") || changed.has("run")) this.#renderNotices();
    this.#renderStatus();
  }

  #renderRun(): void {
    const { run } = this.#context.store;
    this.#cancelling = false;
    if (run === null) {
      fill(this.#model, el("span", { class: "muted" }, "Waiting for the run …"));
      fill(this.#question);
      return;
    }
    const { model, prompt, video } = run;
    fill(
      this.#model,
      el("strong", {}, model.name),
      model.embedded ? badge("embedded model") : null,
      video.order === undefined ? null : badge(`frames ${video.order}`),
      el(
        "span",
        { class: "muted" },
        `${model.family} · ${model.layers} layers · ${model.heads} heads · ${run.tokens.length} positions` +
          (video.featuresCached === true ? " · frames encoded in an earlier run" : ""),
      ),
    );
    setText(this.#question, prompt.question);
    show(this.#export, this.#context.identity !== null);
  }

  #renderAnswer(): void {
    const { answer, run } = this.#context.store;
    if (answer === null || run === null) {
      fill(this.#answer, el("span", { class: "muted" }, run === null ? "" : "Answer pending"));
      return;
    }
    const option = run.prompt.options.find(({ tokenId }) => tokenId === answer.answer.id);
    // A counterfactual clip has no right answer of its own: it is judged by the clip's as filmed.
    const of = run.video.order === undefined ? "" : " for the clip as filmed";
    const verdict =
      answer.correct === undefined
        ? el("span", { class: "verdict unknown" }, "right answer unknown")
        : answer.correct
          ? el("span", { class: "verdict right" }, `✓ right${of}`)
          : el("span", { class: "verdict wrong" }, `✗ wrong${of}`);
    const truth = answer.correct === false ? this.#truth() : null;
    fill(
      this.#answer,
      el("span", { class: "label" }, "Answer"),
      el(
        "strong",
        {},
        option === undefined ? answer.answer.token : `(${option.label}) ${option.text}`,
      ),
      el("span", { class: "probability" }, percent(answer.answer.probability)),
      verdict,
      truth === null ? null : el("span", { class: "muted" }, truth),
    );
  }

  #truth(): string | null {
    const { run, answer } = this.#context.store;
    const wanted = run?.prompt.answer;
    if (wanted === undefined) return null;
    const option = run?.prompt.options.find(({ label }) => label === wanted);
    const text = option === undefined ? wanted : `(${option.label}) ${option.text}`;
    const truth = answer?.groundTruth;
    const whose = run?.video.order === undefined ? "the" : "its";
    return truth === undefined
      ? `${whose} right answer is ${text}`
      : `${whose} right answer is ${text}, ${percent(truth.probability)}`;
  }

  #renderNotices(): void {
    fill(
      this.#notices,
      ...this.#context.store.notices.map(({ level, message }) =>
        el("li", { class: level }, el("span", { class: "level" }, level), message),
      ),
    );
    show(this.#notices, this.#context.store.notices.length > 0);
  }

  #renderStatus(): void {
    const { store } = this.#context;
    const { engine, progress, finished } = store;
    const working = engine.kind === "running" || engine.kind === "queued";
    const died = engine.kind === "died";
    show(this.#restart, died);
    show(this.#log, died || finished?.status === "failed");
    show(this.#cancel, working && !this.#cancelling);
    show(this.#bar.element, working);
    this.#status.dataset.state = died ? "died" : working ? "running" : (finished?.status ?? "");
    if (died) {
      setText(this.#statusText, `The engine stopped: ${engine.message}`);
    } else if (engine.kind === "queued") {
      this.#bar.set(null);
      setText(
        this.#statusText,
        engine.ahead === 1 ? "Waiting for 1 run" : `Waiting for ${engine.ahead} runs`,
      );
    } else if (working) {
      const share =
        progress === null || progress.total <= 0 ? null : progress.done / progress.total;
      this.#bar.set(share);
      setText(this.#statusText, this.#cancelling ? "Cancelling …" : this.#progressText());
    } else if (finished !== null) {
      this.#cancelling = false;
      const texts = {
        done: `Finished in ${seconds(finished.seconds)}`,
        cancelled: "Cancelled; what was found is kept",
        failed: `Failed: ${finished.message ?? "no reason was given"}`,
      };
      setText(this.#statusText, texts[finished.status]);
    } else {
      setText(this.#statusText, store.run === null ? "" : "Incomplete run");
    }
  }

  #progressText(): string {
    const { progress } = this.#context.store;
    if (progress === null) return "Running";
    if (progress.cached === true) return `${PHASES[progress.phase]}: known from an earlier run`;
    const left =
      progress.secondsLeft === undefined ? "" : `, about ${seconds(progress.secondsLeft)} left`;
    return `${PHASES[progress.phase]} ${progressShare(progress.done, progress.total)}${left}`;
  }

  async #cancelRun(): Promise<void> {
    this.#cancelling = true;
    this.#renderStatus();
    try {
      await this.#context.request("cancel", {});
    } catch (error) {
      this.#cancelling = false;
      this.say(error instanceof Error ? error.message : String(error));
      this.#renderStatus();
    }
  }

  async #ask(name: "restartEngine" | "showLog"): Promise<void> {
    try {
      await this.#context.request(name, {});
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
  }

  async #exportHtml(): Promise<void> {
    try {
      const { saved } = await this.#context.request("exportRun", { format: "html" });
      if (saved !== null) this.say(`Saved ${saved}`);
    } catch (error) {
      this.say(error instanceof Error ? error.message : String(error));
    }
  }
}
