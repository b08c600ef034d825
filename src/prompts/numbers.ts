const SMALL = [
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
  "thirteen",
  "fourteen",
  "fifteen",
  "sixteen",
  "seventeen",
  "eighteen",
  "nineteen",
];
const TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/** A whole number below a million in English words: 32 is "thirty-two", 101 "one hundred and one". */
export function numberInWords(value: number): string {
  if (!Number.isInteger(value) || value < 0 || value >= 1_000_000) {
    throw new RangeError(`${value} is not a whole number from 0 to 999,999`);
  }
  if (value < 20) return SMALL[value] ?? "";
  if (value < 100) {
    const rest = value % 10;
    const tens = TENS[Math.floor(value / 10)] ?? "";
    return rest === 0 ? tens : `${tens}-${SMALL[rest]}`;
  }
  if (value < 1000) {
    const hundreds = `${SMALL[Math.floor(value / 100)]} hundred`;
    return value % 100 === 0 ? hundreds : `${hundreds} and ${numberInWords(value % 100)}`;
  }
  const thousands = `${numberInWords(Math.floor(value / 1000))} thousand`;
  const rest = value % 1000;
  if (rest === 0) return thousands;
  return `${thousands}${rest < 100 ? " and" : ","} ${numberInWords(rest)}`;
}
