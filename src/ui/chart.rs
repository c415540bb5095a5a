//! Small SVG line charts of the latest values; their scales start at zero.

use leptos::prelude::*;

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 72.0;

#[component]
pub fn LineChart(
    #[prop(into)] values: Signal<Vec<f64>>,
    /// The maximum number of values; the newest is at the right edge.
    capacity: usize,
    #[prop(into)] label: Signal<String>,
) -> impl IntoView {
    let line = Memo::new(move |_| values.with(|values| polyline_points(values, capacity, max_value(values))));
    let area = move || line.with(|line| format!("{line} {WIDTH},{HEIGHT} {},{HEIGHT}", first_x(line)));
    view! {
        <svg class="chart" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=label preserveAspectRatio="none">
            <polygon class="chart-area" points=area/>
            <polyline class="chart-line" points=line vector-effect="non-scaling-stroke"/>
        </svg>
    }
}

/// A chart of several lines on one scale; each has its own class, `trend-1` and so on.
pub fn multi_line_chart(lines: Signal<Vec<Vec<f64>>>, capacity: usize, label: Signal<String>) -> AnyView {
    let polylines = move || {
        lines.with(|lines| {
            let max_value = lines.iter().map(|values| max_value(values)).fold(f64::MIN_POSITIVE, f64::max);
            let line = |(index, values): (usize, &Vec<f64>)| {
                let class = ["trend-line trend-", &index.to_string()].concat();
                view! { <polyline class=class points=polyline_points(values, capacity, max_value) vector-effect="non-scaling-stroke"/> }
            };
            (1..).zip(lines).map(line).collect_view()
        })
    };
    view! {
        <svg class="chart trend" viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=label preserveAspectRatio="none">
            {polylines}
        </svg>
    }
    .into_any()
}

fn max_value(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN_POSITIVE, f64::max)
}

fn polyline_points(values: &[f64], capacity: usize, max_value: f64) -> String {
    let step = WIDTH / (capacity.max(2) - 1) as f64;
    let start = WIDTH - step * values.len().saturating_sub(1) as f64;
    let point = |(index, value): (usize, &f64)| {
        let x = start + step * index as f64;
        let y = HEIGHT - (value / max_value) * (HEIGHT - 4.0);
        format!("{x:.1},{y:.1}")
    };
    values.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
}

fn first_x(line: &str) -> &str {
    line.split(',').next().filter(|x| !x.is_empty()).unwrap_or("300")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_value_is_at_the_right_and_the_largest_at_the_top() {
        let drawn = |values: &[f64]| polyline_points(values, 3, max_value(values));
        assert_eq!(drawn(&[1.0, 4.0, 2.0]), "0.0,55.0 150.0,4.0 300.0,38.0");
        assert_eq!(drawn(&[1.0]), "300.0,4.0");
        assert_eq!(drawn(&[]), "");
    }
}
