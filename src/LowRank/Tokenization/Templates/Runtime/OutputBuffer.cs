using System.Text;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Text that is being written, with the places where generation blocks wrote.</summary>
internal sealed class OutputBuffer(Budget budget)
{
    private readonly StringBuilder _text = new();

    /// <summary>The spans of generation blocks, in the order they were written.</summary>
    public List<(int Start, int Length)> Spans { get; } = [];

    /// <summary>The characters written so far.</summary>
    public int Length => _text.Length;

    /// <summary>Appends text.</summary>
    public void Write(string text)
    {
        budget.CheckLength((long)_text.Length + text.Length);
        budget.SpendCharacters(text.Length);
        _text.Append(text);
    }

    /// <summary>The text written.</summary>
    public override string ToString() => _text.ToString();
}
