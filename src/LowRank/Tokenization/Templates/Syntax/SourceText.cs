using System.Text;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Syntax;

/// <summary>A template's source as jinja2 reads it: line ends are \n, and one at the very end is dropped.</summary>
internal sealed class SourceText
{
    private readonly List<int> _lineStarts = [0];

    /// <param name="source">The source as given.</param>
    public SourceText(string source)
    {
        Text = NormalizeLines(source);
        if (Text.EndsWith('\n'))
        {
            Text = Text[..^1];
        }

        for (var i = 0; i < Text.Length; i++)
        {
            if (Text[i] == '\n')
            {
                _lineStarts.Add(i + 1);
            }
        }
    }

    /// <summary>The text.</summary>
    public string Text { get; }

    /// <summary>The line of a place, counted from 1.</summary>
    public int LineAt(int position)
    {
        var index = _lineStarts.BinarySearch(position);
        return index >= 0 ? index + 1 : ~index;
    }

    /// <summary>Makes every line end a \n.</summary>
    public static string NormalizeLines(string text) => text.Contains('\r')
        ? new StringBuilder(text).Replace("\r\n", "\n").Replace('\r', '\n').ToString()
        : text;

    /// <summary>The place after the spaces that begin at a place.</summary>
    public int SkipSpaces(int position)
    {
        while (position < Text.Length && Characters.IsSpace(Text[position]))
        {
            position++;
        }

        return position;
    }

    /// <summary>Whether a text stands at a place.</summary>
    public bool Has(int position, string expected) =>
        string.CompareOrdinal(Text, position, expected, 0, expected.Length) == 0;
}
