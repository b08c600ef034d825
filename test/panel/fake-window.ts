/** What every fake host gives to tests of a page: its pace, and what the page's policy refused. */
export class FakeWindow {
  readonly violations: string[] = [];
  #deltas: number[] = [];
  #watching = false;

  /** Resolves when every view is made, and everything scheduled has been drawn. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      let frames = 0;
      const step = () => {
        const busy = document.querySelector('main[aria-busy="true"]') !== null;
        frames = busy ? 0 : frames + 1;
        if (frames < 6) requestAnimationFrame(step);
        else setTimeout(resolve, 20);
      };
      requestAnimationFrame(step);
    });
  }

  /** Notes the time between animation frames until `frameDeltas` is called. */
  watchFrames(): void {
    this.#deltas = [];
    this.#watching = true;
    let last = performance.now();
    const step = (now: number) => {
      this.#deltas.push(now - last);
      last = now;
      if (this.#watching) requestAnimationFrame(step);
    };
    requestAnimationFrame((now) => {
      last = now;
      requestAnimationFrame(step);
    });
  }

  frameDeltas(): number[] {
    this.#watching = false;
    return this.#deltas;
  }
}

declare global {
  interface Window {
    fakeWindow: FakeWindow;
    acquireVsCodeApi: () => unknown;
  }
}

/** Gives the page VS Code's interface: messages go to the host, the state outlives a reload. */
export function install<M>(
  host: FakeWindow & { state: unknown; receive(message: M): Promise<void> },
): void {
  window.fakeWindow = host;
  const kept = sessionStorage.getItem("state");
  host.state = kept === null ? undefined : JSON.parse(kept);
  window.acquireVsCodeApi = () => ({
    postMessage: (message: M) => void host.receive(structuredClone(message)),
    getState: () => host.state,
    setState: (state: unknown) => {
      host.state = state;
      sessionStorage.setItem("state", JSON.stringify(state));
    },
  });
  document.addEventListener("securitypolicyviolation", (event) => {
    host.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
  });
}
