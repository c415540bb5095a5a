"use client";

// The article's page, with one change: the socket's URL uses the page's host, since the port is chosen at run time.

import { useEffect } from "react";

export default function HomePage() {
  useEffect(() => {
    const socket = new WebSocket(`ws://${location.host}/api/socket`);

    socket.onopen = () => {
      console.log("WebSocket 연결 열림");
      socket.send("안녕하세요 서버!");
    };

    socket.onmessage = (event) => {
      console.log("서버로부터 메시지:", event.data);
    };

    socket.onclose = () => {
      console.log("WebSocket 연결 닫힘");
    };

    return () => {
      socket.close();
    };
  }, []);

  return <h1>WebSocket 테스트</h1>;
}
