// Next.js requires a root layout. The article has none, so this is a minimal one: no font, no style sheet.
export default function RootLayout({ children }) {
  return (
    <html lang="ko">
      <body>{children}</body>
    </html>
  );
}
