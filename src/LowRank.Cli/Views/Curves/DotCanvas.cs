namespace LowRank.Cli.Views.Curves;

/// <summary>A picture of dots in characters: a braille character has two by four of them.</summary>
/// <param name="columns">Characters beside each other.</param>
/// <param name="rows">Characters on top of each other.</param>
internal sealed class DotCanvas(int columns, int rows)
{
    private const char NoDots = '\u2800';

    // The bits of Unicode's braille patterns, a row of dots after the other.
    private static readonly byte[] Bits = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];

    private readonly byte[] cells = new byte[columns * rows];

    /// <summary>Dots beside each other.</summary>
    public int Width => 2 * columns;

    /// <summary>Dots on top of each other.</summary>
    public int Height => 4 * rows;

    /// <summary>A line, both ends included.</summary>
    /// <param name="from">Dots from the left and from the top.</param>
    /// <param name="to">The same of its other end.</param>
    public void Line((int X, int Y) from, (int X, int Y) to)
    {
        int steps = Math.Max(1, Math.Max(Math.Abs(to.X - from.X), Math.Abs(to.Y - from.Y)));
        for (int i = 0; i <= steps; i++)
            Dot((int)Math.Round(from.X + (to.X - from.X) * (double)i / steps), (int)Math.Round(from.Y + (to.Y - from.Y) * (double)i / steps));
    }

    /// <summary>The character of a place; a space where there are no dots.</summary>
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
