using LowRank.Adapters.Inspection;
using LowRank.Cli.Common;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace LowRank.Cli.Views;

/// <summary>Plots the singular values of an adapter's changes to an SVG file: one line per module, one colour per
/// name.</summary>
internal static class SpectrumPlot
{
    private const double Width = 800, Height = 460;

    // Tableau's ten colours, which most people can tell apart; more names reuse them.
    private static readonly string[] Colours =
        ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#9c755f", "#edc948", "#ff9da7", "#79706e"];

    /// <summary>Writes the file; its folder must exist.</summary>
    /// <exception cref="InputException">The adapter has no change that is known without its base.</exception>
    public static void Write(AdapterSummary adapter, OutputFile file)
    {
        ModuleSummary[] known = [.. adapter.Modules.Where(module => module.Delta is { SpectralNorm: > 0 })];
        if (known.Length == 0)
            throw new InputException(
                "--plot: there is nothing to draw. " +
                $"{(adapter.Modules.Count == 0 ? $"A {adapter.Label} adapter changes no layer."
                    : "The adapter changes nothing yet, or its changes depend on the base.")}");
        string title = $"Singular values of the changes of {known.Length} modules";
        var model = new PlotModel
        {
            Title = title,
            Background = OxyColors.White,
            TitleFontSize = 15,
            TitlePadding = 12,
            Padding = new OxyThickness(16),
        };
        model.Axes.Add(
            new LinearAxis
            {
                Position = AxisPosition.Bottom,
                Title = "index of the value",
                Minimum = 0.5,
                MinimumMajorStep = 1,
                MinimumMinorStep = 1,
            });
        model.Axes.Add(
            new LinearAxis
            {
                Position = AxisPosition.Left,
                Title = "singular value",
                AxisTitleDistance = 14,
                Minimum = 0,
                MajorGridlineStyle = LineStyle.Solid,
                MajorGridlineColor = OxyColors.LightGray,
            });
        string[] names = [.. known.Select(Name).Distinct()];
        foreach (ModuleSummary module in known) model.Series.Add(Line(module, names));
        AddNames(model, names, known);
        string description = string.Join("; ", adapter.Modules.Select(module => FormattableString.Invariant(
            $"{module.Path}: rank {module.Rank}, largest {module.Delta?.SpectralNorm ?? 0:g3}")));
        file.Write(AccessibleSvg.Describe(
            SvgExporter.ExportToString(model, Width, Height, isDocument: true), title, description, Width, Height));
    }

    // Labels in the colour of their lines, anchored at the line's end: the width of a legend would depend on a font
    // that may be missing.
    private static void AddNames(PlotModel model, string[] names, ModuleSummary[] known)
    {
        double right = known.Max(module => module.Delta!.SingularValues.Count),
            top = known.Max(module => module.Delta!.SpectralNorm);
        for (int i = 0; i < names.Length; i++)
            model.Annotations.Add(new TextAnnotation
            {
                Text = names[i], TextPosition = new DataPoint(right, top * (0.97 - 0.055 * i)),
                    TextColor = OxyColor.Parse(Colours[i % Colours.Length]), StrokeThickness = 0,
                FontSize = 13, FontWeight = FontWeights.Bold,
                    TextHorizontalAlignment = OxyPlot.HorizontalAlignment.Right,
                    TextVerticalAlignment = OxyPlot.VerticalAlignment.Middle,
            });
    }

    private static LineSeries Line(ModuleSummary module, string[] names)
    {
        var line = new LineSeries
        {
            Color = OxyColor.Parse(Colours[Array.IndexOf(names, Name(module)) % Colours.Length]),
            StrokeThickness = 1.2,
            MarkerType = module.Delta!.SingularValues.Count == 1 ? MarkerType.Circle : MarkerType.None,
        };
        line.Points.AddRange(module.Delta.SingularValues.Select((value, place) => new DataPoint(place + 1, value)));
        return line;
    }

    private static string Name(ModuleSummary module) => module.Path[(module.Path.LastIndexOf('.') + 1)..];
}
