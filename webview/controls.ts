import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeRadio,
  vsCodeRadioGroup,
  vsCodeTextField,
} from "@vscode/webview-ui-toolkit";
import { el, fill } from "./dom.ts";

/**
 * The panel's controls. The toolkit behind them is archived by its authors, so nothing else in the
 * panel knows it: leaving it is this file's work alone.
 */
provideVSCodeDesignSystem().register(
  vsCodeButton(),
  vsCodeCheckbox(),
  vsCodeDropdown(),
  vsCodeOption(),
  vsCodeRadio(),
  vsCodeRadioGroup(),
  vsCodeTextField(),
);

/** A toolkit element; its value properties are typed here, where they are used. */
function toolkit<P extends object>(tag: string, attributes: Readonly<Record<string, string>>) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node as HTMLElement & P;
}

export type ButtonLook = "primary" | "secondary" | "icon";

/** A push button; `label` is what screen readers say when the text is short for it. */
export function button(
  text: string,
  onPress: () => void,
  { look = "secondary", label = text }: { look?: ButtonLook; label?: string } = {},
): HTMLElement & { disabled: boolean } {
  const node = toolkit<{ disabled: boolean }>("vscode-button", {
    appearance: look,
    "aria-label": label,
    title: label,
  });
  node.append(text);
  node.addEventListener("click", () => {
    if (!node.disabled) onPress();
  });
  return node;
}

export interface ValueControl<T> {
  readonly element: HTMLElement;
  /** Shows a value without reporting it back. */
  set(value: T): void;
}

export function checkbox(
  text: string,
  value: boolean,
  onChange: (value: boolean) => void,
): ValueControl<boolean> {
  const node = toolkit<{ checked: boolean }>("vscode-checkbox", {});
  node.append(text);
  let shown = value;
  node.checked = value;
  node.addEventListener("change", () => {
    if (node.checked === shown) return;
    shown = node.checked;
    onChange(shown);
  });
  return {
    element: node,
    set: (next) => {
      shown = next;
      node.checked = next;
    },
  };
}

export interface Choice {
  readonly value: string;
  readonly text: string;
}

/** A few exclusive choices side by side. */
export function radios(
  label: string,
  choices: readonly Choice[],
  value: string,
  onChange: (value: string) => void,
): ValueControl<string> {
  const node = toolkit<{ value: string }>("vscode-radio-group", {
    orientation: "horizontal",
    "aria-label": label,
  });
  for (const choice of choices) {
    const radio = toolkit("vscode-radio", { value: choice.value });
    radio.append(choice.text);
    node.append(radio);
  }
  let shown = value;
  node.setAttribute("value", value);
  node.addEventListener("change", () => {
    if (node.value === shown || !choices.some((choice) => choice.value === node.value)) return;
    shown = node.value;
    onChange(shown);
  });
  return {
    element: node,
    set: (next) => {
      shown = next;
      node.value = next;
    },
  };
}

export interface Dropdown extends ValueControl<string> {
  setChoices(choices: readonly Choice[], value: string): void;
}

/** One of many choices. */
export function dropdown(
  label: string,
  choices: readonly Choice[],
  value: string,
  onChange: (value: string) => void,
): Dropdown {
  const node = toolkit<{ value: string }>("vscode-dropdown", { "aria-label": label });
  let shown = value;
  let listed = "";
  const setChoices = (next: readonly Choice[], selected: string) => {
    const key = JSON.stringify(next);
    if (key !== listed) {
      listed = key;
      fill(
        node,
        ...next.map((choice) => {
          const option = toolkit("vscode-option", { value: choice.value });
          option.textContent = choice.text;
          return option;
        }),
      );
    }
    shown = selected;
    // The toolkit takes its options from the slot, which is filled after this turn.
    queueMicrotask(() => {
      node.value = shown;
    });
  };
  setChoices(choices, value);
  node.addEventListener("change", () => {
    if (node.value === shown || node.value === "") return;
    shown = node.value;
    onChange(shown);
  });
  return {
    element: el("label", { class: "field" }, el("span", {}, label), node),
    set: (next) => {
      shown = next;
      node.value = next;
    },
    setChoices,
  };
}

export function textField(
  label: string,
  placeholder: string,
  onInput: (value: string) => void,
): ValueControl<string> {
  const node = toolkit<{ value: string }>("vscode-text-field", {
    placeholder,
  });
  // The toolkit takes the accessible name from the content; style.css hides the visible copy.
  node.append(label);
  node.addEventListener("input", () => onInput(node.value));
  return {
    element: node,
    set: (value) => {
      if (node.value !== value) node.value = value;
    },
  };
}

/** A small label. Not the toolkit's badge: that one styles itself inline, which our policy forbids. */
export function badge(text: string): HTMLElement {
  return el("span", { class: "badge" }, text);
}

export interface Slider extends ValueControl<number> {
  setRange(min: number, max: number): void;
  setText(text: string): void;
}

/** A slider over whole numbers. The toolkit has none: a native range input, themed by style.css. */
export function slider(
  label: string,
  min: number,
  max: number,
  value: number,
  onInput: (value: number) => void,
): Slider & { readonly element: HTMLInputElement } {
  const node = el("input", { type: "range", min, max, step: 1, "aria-label": label });
  node.valueAsNumber = value;
  node.addEventListener("input", () => onInput(node.valueAsNumber));
  return {
    element: node,
    set: (next) => {
      if (node.valueAsNumber !== next) node.valueAsNumber = next;
    },
    setRange: (low, high) => {
      node.min = String(low);
      node.max = String(high);
    },
    setText: (text) => node.setAttribute("aria-valuetext", text),
  };
}

/** A progress bar; `set` takes a share of 1, or null while nothing is known. */
export function progressBar(label: string): ValueControl<number | null> {
  const bar = el("div", { class: "progress-bar" });
  const node = el(
    "div",
    { class: "progress", role: "progressbar", "aria-label": label, "aria-valuemin": 0 },
    bar,
  );
  node.setAttribute("aria-valuemax", "100");
  return {
    element: node,
    set: (value) => {
      node.classList.toggle("indefinite", value === null);
      if (value === null) node.removeAttribute("aria-valuenow");
      else {
        const share = Math.min(Math.max(value, 0), 1);
        node.setAttribute("aria-valuenow", String(Math.round(share * 100)));
        bar.style.transform = `scaleX(${share})`;
      }
    },
  };
}
