using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>Draws training and held-out losses over the steps, as wide as possible; draws nothing if there is too
/// little room.</summary>
/// <param name="training">Drawn as a line.</param>
/// <param name="heldOut">Drawn as marks.</param>
/// <param name="otherLines">Terminal lines to leave free.</param>
internal sealed class LossCurve(
    IEnumerable<(double Step, double Loss)> training, IEnumerable<(double Step, double Loss)> heldOut, int otherLines)
    : Renderable
{
    private const int LeastWidth = 30, MostWidth = 120, LeastRows = 3, MostRows = 12;
    private const int OwnLines = 3; // the legend, the axis and its numbers

    private static readonly Style TrainingStyle = new(Color.DodgerBlue1), HeldOutStyle = new(Color.Orange1),
        AxisStyle = new(Color.Grey);

    private readonly (double Step, double Loss)[] training = [.. training];
    private readonly (double Step, double Loss)[] heldOut = [.. heldOut];

    protected override Measurement Measure(RenderOptions options, int maxWidth) =>
        new(LeastWidth, Math.Min(maxWidth, MostWidth));

    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        (double Step, double Loss)[] all = [.. training, .. heldOut];
        int rows = Math.Min(MostRows, options.ConsoleSize.Height - otherLines - OwnLines);
        if (all.Length < 2 || maxWidth < LeastWidth || rows < LeastRows) return [];
        LossScale scale = LossScale.Of([.. all.Select(point => point.Loss)]);
        string[] labels =
            [.. Enumerable.Range(0, rows)
            .Select(row => row == 0 || row == rows - 1 || row == rows / 2
            ? Label(scale, 1 - (double)row / (rows - 1)) : "")];
        int margin = labels.Max(label => label.Length), columns = Math.Min(maxWidth, MostWidth) - margin - 2;
        return Lines(new Frame(all.Min(point => point.Step), all.Max(point => point.Step), scale, columns, rows),
            labels, margin, options.Unicode);
    }

    private IEnumerable<Segment> Lines(Frame frame, string[] labels, int margin, bool unicode)
    {
        string indent = new(' ', margin + 1);
        char mark = unicode ? '●' : 'o';
        yield return new Segment(indent + " loss: ");
        yield return new Segment(unicode ? "⠒⠒ training" : "** training", TrainingStyle);
        if (heldOut.Length > 0) yield return new Segment($"  {mark} held out", HeldOutStyle);
        if (frame.Scale.IsLogarithmic) yield return new Segment("  (logarithmic)", AxisStyle);
        yield return Segment.LineBreak;
        DotCanvas canvas = Draw(frame);
        HashSet<(int, int)> marks = [.. heldOut.Select(point => (frame.Place(point, frame.Columns, frame.Rows)))];
        for (int row = 0; row < frame.Rows; row++)
        {
            yield return new Segment(
                $"{labels[row].PadLeft(margin)} {(unicode ? labels[row].Length > 0 ? '┤' : '│' : '|')}", AxisStyle);
            for (int column = 0; column < frame.Columns; column++)
                yield return marks.Contains((column, row)) ? new Segment(mark.ToString(), HeldOutStyle)
                    : new Segment(canvas.Character(column, row, unicode).ToString(), TrainingStyle);
            yield return Segment.LineBreak;
        }
        yield return new Segment(
            indent + (unicode ? "└" + new string('─', frame.Columns) : "+" + new string('-', frame.Columns)),
            AxisStyle);
        yield return Segment.LineBreak;
        string first = frame.First.ToString("n0", CultureInfo.InvariantCulture),
            last = "step " + frame.Last.ToString("n0", CultureInfo.InvariantCulture);
        yield return new Segment(
            $"{indent} {first}{last.PadLeft(Math.Max(last.Length + 1, frame.Columns - first.Length))}", AxisStyle);
    }

    // One dot per column, at the mean of its losses: single steps are noisy, and the trend matters.
    private DotCanvas Draw(Frame frame)
    {
        var canvas = new DotCanvas(frame.Columns, frame.Rows);
        (int, int)? before = null;
        foreach (IGrouping<int, (double Step, double Loss)> column in training.GroupBy(
            point => frame.Place(point, canvas.Width, canvas.Height).X))
        {
            (int, int) here =
                frame.Place((column.Average(point => point.Step), column.Average(point => point.Loss)), canvas.Width,
                canvas.Height);
            canvas.Line(before ?? here, here);
            before = here;
        }
        return canvas;
    }

    private static string Label(LossScale scale, double share) => scale.At(share) switch
    {
        var loss when Math.Abs(loss) is >= 0.0001 and < 100_000 =>
            loss.ToString(
                Math.Abs(loss) >= 100 ? "f0" : Math.Abs(loss) >= 1 ? "f2" : "f4", CultureInfo.InvariantCulture),
        0 => "0",
        var loss => loss.ToString("0.0e+0", CultureInfo.InvariantCulture),
    };

    private sealed record Frame(double First, double Last, LossScale Scale, int Columns, int Rows)
    {
        public (int X, int Y) Place((double Step, double Loss) point, int width, int height) =>
            ((int)Math.Round((Last == First ? 0 : (point.Step - First) / (Last - First)) * (width - 1)),
                (int)Math.Round((1 - Scale.Share(point.Loss)) * (height - 1)));
    }
}

/// <summary>The losses of a run of any length, as the means of a limited number of bins of steps.</summary>
internal sealed class LossHistory
{
    /// <summary>The maximum number of bins: more than a wide terminal has dots.</summary>
    public const int MostBins = 1024;

    private readonly List<(double Steps, double Losses, long Count)> bins = [];
    private long width = 1; // steps per bin

    /// <summary>The bins that are not empty: the mean of their steps and of their losses.</summary>
    public IEnumerable<(double Step, double Loss)> Points =>
        bins.Where(bin => bin.Count > 0).Select(bin => (bin.Steps / bin.Count, bin.Losses / bin.Count));

    /// <summary>Adds a loss; ignores one that is not finite.</summary>
    /// <param name="step">From 0.</param>
    /// <param name="loss">In nats.</param>
    public void Add(long step, double loss)
    {
        if (!double.IsFinite(loss)) return;
        while (step / width >= MostBins) Widen();
        int place = (int)(step / width);
        while (bins.Count <= place) bins.Add(default);
        bins[place] = (bins[place].Steps + step, bins[place].Losses + loss, bins[place].Count + 1);
    }

    private void Widen()
    {
        for (int i = 0; i < bins.Count; i += 2)
        {
            (double Steps, double Losses, long Count) first = bins[i], second = i + 1 < bins.Count
                ? bins[i + 1] : default;
            bins[i / 2] = (first.Steps + second.Steps, first.Losses + second.Losses, first.Count + second.Count);
        }
        bins.RemoveRange((bins.Count + 1) / 2, bins.Count / 2);
        width *= 2;
    }
}

/// <summary>Maps a loss to its position between the lowest and the highest one. The scale is logarithmic if they are
/// far apart, because the end of a run would look flat otherwise.</summary>
/// <param name="Lowest">The loss at the bottom.</param>
/// <param name="Highest">The loss at the top.</param>
internal sealed record LossScale(double Lowest, double Highest)
{
    private const double FarApart = 8;

    public bool IsLogarithmic => Lowest > 0 && Highest / Lowest > FarApart;

    /// <summary>The scale for all losses.</summary>
    public static LossScale Of(IReadOnlyCollection<double> losses) => new(losses.Min(), losses.Max());

    /// <summary>From 0 at the bottom to 1 at the top; the middle if all losses are equal.</summary>
    public double Share(double loss) => Highest == Lowest ? 0.5
        : IsLogarithmic ? Math.Log(loss / Lowest) / Math.Log(Highest / Lowest) : (loss - Lowest) / (Highest - Lowest);

    /// <summary>The loss at a height from 0 to 1.</summary>
    public double At(double share) => IsLogarithmic ? Lowest * Math.Pow(Highest / Lowest, share)
        : Lowest + (Highest - Lowest) * share;
}

/// <summary>A picture of dots made of characters: a braille character has two by four dots.</summary>
/// <param name="columns">Width in characters.</param>
/// <param name="rows">Height in characters.</param>
internal sealed class DotCanvas(int columns, int rows)
{
    private const char NoDots = '\u2800';

    // The bits of Unicode's braille patterns, row by row.
    private static readonly byte[] Bits = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];

    private readonly byte[] cells = new byte[columns * rows];

    /// <summary>Width in dots.</summary>
    public int Width => 2 * columns;

    /// <summary>Height in dots.</summary>
    public int Height => 4 * rows;

    /// <summary>Draws a line, both ends included.</summary>
    /// <param name="from">One end, in dots from the left and from the top.</param>
    /// <param name="to">The other end.</param>
    public void Line((int X, int Y) from, (int X, int Y) to)
    {
        int steps = Math.Max(1, Math.Max(Math.Abs(to.X - from.X), Math.Abs(to.Y - from.Y)));
        for (int i = 0; i <= steps; i++)
            Dot((int)Math.Round(from.X + (to.X - from.X) * (double)i / steps),
                (int)Math.Round(from.Y + (to.Y - from.Y) * (double)i / steps));
    }

    /// <summary>The character at a position; a space if it has no dots.</summary>
    /// <param name="column">From the left.</param>
    /// <param name="row">From the top.</param>
    /// <param name="unicode">False writes a star for any dots.</param>
    public char Character(int column, int row, bool unicode) => cells[row * columns + column] switch
    {
        0 => ' ',
        var bits => unicode ? (char)(NoDots + bits) : '*',
    };

    private void Dot(int x, int y) => cells[y / 4 * columns + x / 2] |= Bits[y % 4 * 2 + x % 2];
}

/// <summary>A curve in one line of text.</summary>
internal static class Sparkline
{
    private const string Heights = "▁▂▃▄▅▆▇█";

    /// <summary>One block per value, or per mean of neighbouring values if there are too many.</summary>
    /// <param name="values">The values, in order.</param>
    /// <param name="scale">The scale; use the same for all lines that are compared.</param>
    /// <param name="width">Maximum number of characters.</param>
    public static string Of(IReadOnlyList<double> values, LossScale scale, int width)
    {
        if (values.Count == 0) return "";
        int count = Math.Min(width, values.Count);
        return string.Concat(Enumerable.Range(0, count).Select(place =>
        {
            int from = place * values.Count / count, to = (place + 1) * values.Count / count;
            double mean = values.Skip(from).Take(to - from).Average();
            return Heights[Math.Clamp((int)(scale.Share(mean) * Heights.Length), 0, Heights.Length - 1)];
        }));
    }
}
