// The app's texts, imported from its locale files.

import en from "../../locales/en.json" with { type: "json" };
import ko from "../../locales/ko.json" with { type: "json" };

export type Texts = typeof ko;
export type Language = "ko" | "en";

export const texts: Record<Language, Texts> = { ko, en };
export { en, ko };

/** The echo's greeting and reply prefix, the same in every language. */
export const GREETING = "안녕하세요 서버!";
export const REPLY_PREFIX = "서버 응답: ";

/** Replaces `{name}` by its value, and `{name:one|other}` by the plural form for its value. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, other?: string) => {
    const value = String(values[name]);
    if (one === undefined) return value;
    return value === "1" ? one : (other ?? "");
  });
}

/** A pattern that matches the text with any values for its placeholders. */
export function pattern(text: string): RegExp {
  const parts = text.split(/\{\w+(?::[^}]*)?\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(parts.join(".+"));
}
