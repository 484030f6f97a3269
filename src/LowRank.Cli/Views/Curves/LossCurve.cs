using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views.Curves;

/// <summary>Training and held-out losses over the steps, as wide as there is room; nothing where there is too little.</summary>
/// <param name="training">A line.</param>
/// <param name="heldOut">A mark each.</param>
/// <param name="otherLines">Lines of the terminal that the picture leaves free.</param>
internal sealed class LossCurve(IEnumerable<(double Step, double Loss)> training, IEnumerable<(double Step, double Loss)> heldOut, int otherLines) : Renderable
{
    private const int LeastWidth = 30, MostWidth = 120, LeastRows = 3, MostRows = 12;
    private const int OwnLines = 3; // the legend, the axis and its numbers

    private static readonly Style TrainingStyle = new(Color.DodgerBlue1), HeldOutStyle = new(Color.Orange1), AxisStyle = new(Color.Grey);

    private readonly (double Step, double Loss)[] training = [.. training];
    private readonly (double Step, double Loss)[] heldOut = [.. heldOut];

    protected override Measurement Measure(RenderOptions options, int maxWidth) => new(LeastWidth, Math.Min(maxWidth, MostWidth));

    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        (double Step, double Loss)[] all = [.. training, .. heldOut];
        int rows = Math.Min(MostRows, options.ConsoleSize.Height - otherLines - OwnLines);
        if (all.Length < 2 || maxWidth < LeastWidth || rows < LeastRows) return [];
        LossScale scale = LossScale.Of([.. all.Select(point => point.Loss)]);
        string[] labels = [.. Enumerable.Range(0, rows).Select(row => row == 0 || row == rows - 1 || row == rows / 2 ? Label(scale, 1 - (double)row / (rows - 1)) : "")];
        int margin = labels.Max(label => label.Length), columns = Math.Min(maxWidth, MostWidth) - margin - 2;
        return Lines(new Frame(all.Min(point => point.Step), all.Max(point => point.Step), scale, columns, rows), labels, margin, options.Unicode);
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
            yield return new Segment($"{labels[row].PadLeft(margin)} {(unicode ? labels[row].Length > 0 ? '┤' : '│' : '|')}", AxisStyle);
            for (int column = 0; column < frame.Columns; column++)
                yield return marks.Contains((column, row)) ? new Segment(mark.ToString(), HeldOutStyle) : new Segment(canvas.Character(column, row, unicode).ToString(), TrainingStyle);
            yield return Segment.LineBreak;
        }
        yield return new Segment(indent + (unicode ? "└" + new string('─', frame.Columns) : "+" + new string('-', frame.Columns)), AxisStyle);
        yield return Segment.LineBreak;
        string first = frame.First.ToString("n0", CultureInfo.InvariantCulture), last = "step " + frame.Last.ToString("n0", CultureInfo.InvariantCulture);
        yield return new Segment($"{indent} {first}{last.PadLeft(Math.Max(last.Length + 1, frame.Columns - first.Length))}", AxisStyle);
    }

    // One dot a column, at the mean of what lies in it: a step's loss jumps, its course is what is to be seen.
    private DotCanvas Draw(Frame frame)
    {
        var canvas = new DotCanvas(frame.Columns, frame.Rows);
        (int, int)? before = null;
        foreach (IGrouping<int, (double Step, double Loss)> column in training.GroupBy(point => frame.Place(point, canvas.Width, canvas.Height).X))
        {
            (int, int) here = frame.Place((column.Average(point => point.Step), column.Average(point => point.Loss)), canvas.Width, canvas.Height);
            canvas.Line(before ?? here, here);
            before = here;
        }
        return canvas;
    }

    private static string Label(LossScale scale, double share) => scale.At(share) switch
    {
        var loss when Math.Abs(loss) is >= 0.0001 and < 100_000 => loss.ToString(Math.Abs(loss) >= 100 ? "f0" : Math.Abs(loss) >= 1 ? "f2" : "f4", CultureInfo.InvariantCulture),
        0 => "0",
        var loss => loss.ToString("0.0e+0", CultureInfo.InvariantCulture),
    };

    private sealed record Frame(double First, double Last, LossScale Scale, int Columns, int Rows)
    {
        public (int X, int Y) Place((double Step, double Loss) point, int width, int height) =>
            ((int)Math.Round((Last == First ? 0 : (point.Step - First) / (Last - First)) * (width - 1)), (int)Math.Round((1 - Scale.Share(point.Loss)) * (height - 1)));
    }
}
