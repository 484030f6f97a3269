namespace LowRank.Samples.Understanding;

/// <summary>Finds places for the texts of a chart where they cover neither marks nor lines nor one another.</summary>
/// <param name="left">The left end of the drawing, in pixels.</param>
/// <param name="right">Its right end.</param>
/// <param name="bottom">Its lower end.</param>
internal sealed class ChartLabels(double left, double right, double bottom)
{
    private const double CharacterWidth = 7.2, Ascent = 11, Descent = 3; // of the font at 13 pixels

    private readonly List<(double Left, double Top, double Right, double Bottom)> taken = [];

    /// <summary>Keeps texts off a mark.</summary>
    public void Avoid(double x, double y, double size) => taken.Add((x - size, y - size, x + size, y + size));

    /// <summary>Keeps texts off a straight line.</summary>
    public void AvoidLine(double fromX, double fromY, double toX, double toY)
    {
        const int Steps = 40;
        for (int i = 1; i < Steps; i++)
            Avoid(fromX + (toX - fromX) * i / Steps, fromY + (toY - fromY) * i / Steps, size: 2);
    }

    /// <summary>A place beside a point.</summary>
    public (double X, double Y, string Anchor) Beside(string text, double x, double y) => Place(text,
    [
        (x + 9, y - 9, "start"), (x - 9, y - 9, "end"), (x + 9, y + 19, "start"), (x - 9, y + 19, "end"),
            (x + 12, y + 4, "start"), (x - 12, y + 4, "end"),
        (x, y - 14, "middle"), (x, y + 24, "middle"), (x + 9, y - 24, "start"), (x - 9, y - 24, "end"),
            (x + 9, y + 34, "start"), (x - 9, y + 34, "end"),
    ]);

    /// <summary>The place of those offered where a text covers least; the first of equals.</summary>
    public (double X, double Y, string Anchor) Place(
        string text, IReadOnlyList<(double X, double Y, string Anchor)> offered)
    {
        (double X, double Y, string Anchor) best = offered.MinBy(place => Covered(Box(text, place)));
        taken.Add(Box(text, best));
        return best;
    }

    private static (double Left, double Top, double Right, double Bottom) Box(
        string text, (double X, double Y, string Anchor) place)
    {
        double width = text.Length * CharacterWidth,
            start = place.X - place.Anchor switch { "end" => width, "middle" => width / 2, _ => 0 };
        return (start, place.Y - Ascent, start + width, place.Y + Descent);
    }

    private double Covered((double Left, double Top, double Right, double Bottom) box)
    {
        double beside = Math.Max(0, left - box.Left) + Math.Max(0, box.Right - right - 8),
            below = Math.Max(0, box.Bottom - bottom);
        return beside * (Ascent + Descent) + below * (box.Right - box.Left)
            + taken.Sum(other => Math.Max(0, Math.Min(box.Right, other.Right) - Math.Max(box.Left, other.Left))
            * Math.Max(0, Math.Min(box.Bottom, other.Bottom) - Math.Max(box.Top, other.Top)));
    }
}
