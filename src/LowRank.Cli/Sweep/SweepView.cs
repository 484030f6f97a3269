using System.Text;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.IO;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;
using Spectre.Console;

namespace LowRank.Cli.Sweep;

/// <summary>Shows the results of a sweep: a table with the best run first and a curve for each, and the curves as an
/// SVG file.</summary>
internal static class SweepView
{
    private const double Width = 800, Height = 460;
    private const int Drawn = 8; // more curves are hard to tell apart
    private static readonly string[] Colours =
        ["#d62728", "#4e79a7", "#f28e2b", "#59a14f", "#76b7b2", "#b07aa1", "#9c755f", "#79706e"];

    /// <summary>The table.</summary>
    public static Table Table(IReadOnlyList<GridAxis> axes, string metric, IReadOnlyList<SweepRun> ranked)
    {
        const int curveWidth = 16;
        Table table = new Table().RoundedBorder()
            .AddColumns(
                [.. axes.Select(axis => Markup.Escape(axis.Name)), "best " + Markup.Escape(metric), "step",
                "curve", "state"]);
        double[] all = [.. ranked.SelectMany(run => run.Curve.Select(point => point.Value))];
        foreach (SweepRun run in ranked)
            table.AddRow([
                .. run.Values.Select(value => new Text(Screen.Cell(value))),
                new Text(run.Best is { } best ? FormattableString.Invariant($"{best:g5}") : "–"),
                new Text(run.BestStep is { } step ? FormattableString.Invariant($"{step:n0}") : "–"),
                new Text(all.Length == 0 ? ""
                : Sparkline.Of([.. run.Curve.Select(point => point.Value)], LossScale.Of(all), curveWidth)),
                new Text(run.State),
            ]);
        return table;
    }

    /// <summary>Writes the curves of the best runs.</summary>
    public static void Write(string path, string metric, IReadOnlyList<SweepRun> ranked)
    {
        SweepRun[] shown = [.. ranked.Where(run => run.Curve.Count > 0).Take(Drawn)];
        if (shown.Length == 0) return;
        string title =
            $"{metric} of " +
            $"{(shown.Length < ranked.Count ? $"the best {shown.Length} of {ranked.Count}" : $"{shown.Length}")} runs";
        var model = new PlotModel
        {
            Title = title,
            Background = OxyColors.White,
            TitleFontSize = 15,
            TitlePadding = 12,
            Padding = new OxyThickness(16),
        };
        LossScale scale = LossScale.Of([.. shown.SelectMany(run => run.Curve.Select(point => point.Value))]);
        model.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = "step" });
        model.Axes.Add(
            scale.IsLogarithmic
            ? new LogarithmicAxis { Position = AxisPosition.Left, Title = metric, AxisTitleDistance = 14 }
            : new LinearAxis
            {
                Position = AxisPosition.Left,
                Title = metric,
                AxisTitleDistance = 14,
                MajorGridlineStyle = LineStyle.Solid,
                MajorGridlineColor = OxyColors.LightGray,
            });
        for (int i = 0; i < shown.Length; i++)
        {
            var line = new LineSeries
            {
                Color = OxyColor.Parse(Colours[i]),
                StrokeThickness = i == 0 ? 2.4 : 1.2,
                MarkerType = shown[i].Curve.Count < 30 ? MarkerType.Circle : MarkerType.None,
                MarkerSize = 2.5,
            };
            line.Points.AddRange(shown[i].Curve.Select(point => new DataPoint(point.Step, point.Value)));
            model.Series.Add(line);
            // Labels in the colour of their lines, anchored at the line's end: the width of a legend would depend on a
            // font that may be missing.
            model.Annotations.Add(new TextAnnotation
            {
                Text = shown[i].Name,
                    TextPosition = new DataPoint(shown.Max(run => run.Curve[^1].Step), scale.At(0.96 - 0.055 * i)),
                    TextColor = OxyColor.Parse(Colours[i]), StrokeThickness = 0,
                FontSize = 12, FontWeight = FontWeights.Bold,
                    TextHorizontalAlignment = OxyPlot.HorizontalAlignment.Right,
                    TextVerticalAlignment = OxyPlot.VerticalAlignment.Middle,
            });
        }
        string description = string.Join("; ", shown.Select(run =>
            FormattableString.Invariant($"{run.Name}: best {run.Best:g5} after step {run.BestStep}")));
        string svg = AccessibleSvg.Describe(
            SvgExporter.ExportToString(model, Width, Height, isDocument: true), title, description, Width, Height);
        AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(svg)));
    }
}
