// Next.js demands a root layout; the article shows none, so this is the least that works: no font, no style sheet.
export default function RootLayout({ children }) {
  return (
    <html lang="ko">
      <body>{children}</body>
    </html>
  );
}
