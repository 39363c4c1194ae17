import * as echarts from "echarts";
import { useEffect, useRef } from "react";
import { readRankings } from "../api";
import { useLoaded } from "../useLoaded";

export default function StatsPage() {
  const box = useRef<HTMLDivElement>(null);
  const { value: ranking, error } = useLoaded(readRankings, "rankings");
  useEffect(() => {
    if (!box.current || !ranking) return;
    const chart = echarts.init(box.current);
    chart.setOption({
      xAxis: { type: "value" },
      yAxis: { type: "category", data: ranking.map((book) => book.title), inverse: true },
      series: [{ type: "bar", data: ranking.map((book) => book.copies) }],
      grid: { containLabel: true },
    });
    return () => chart.dispose();
  }, [ranking]);
  if (error) return <p role="alert">{error}</p>;
  return (
    <>
      <h1>Sales</h1>
      <div ref={box} className="chart" />
    </>
  );
}
