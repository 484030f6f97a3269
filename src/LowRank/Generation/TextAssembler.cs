using System.Text;
using LowRank.Tokenizers;

namespace LowRank.Generation;

/// <summary>Makes a text of tokens as they come: never a part of a character, and nothing that may become a stop string
/// before it is clear whether it does.</summary>
/// <param name="decoder">The tokenizer's decoder.</param>
/// <param name="stops">The stop strings, none of them empty.</param>
internal sealed class TextAssembler(StreamingDecoder decoder, IReadOnlyList<string> stops)
{
    private readonly StringBuilder held = new();

    /// <summary>Characters that are out.</summary>
    public int Shown { get; private set; }

    /// <summary>Characters that tokens gave, those of a stop string included.</summary>
    public int Decoded { get; private set; }

    /// <summary>Whether the text came to a stop string, which is no part of it.</summary>
    public bool IsStopped { get; private set; }

    /// <summary>Adds a token.</summary>
    /// <returns>The text that is now certain, often empty.</returns>
    public string Add(int token) => Advance(decoder.Add(token), atEnd: false);

    /// <summary>The rest, after the last token.</summary>
    public string End() => IsStopped ? "" : Advance(decoder.Flush(), atEnd: true);

    private string Advance(string added, bool atEnd)
    {
        Decoded += added.Length;
        if (stops.Count == 0)
        {
            Shown += added.Length;
            return added;
        }
        held.Append(added);
        string text = held.ToString();
        int end = text.Length, first = First(text);
        if (first >= 0) (IsStopped, end) = (true, first);
        else if (!atEnd) end -= Pending(text);
        held.Remove(0, IsStopped ? held.Length : end);
        Shown += end;
        return text[..end];
    }

    private int First(string text)
    {
        int first = -1;
        foreach (string stop in stops)
        {
            int at = text.IndexOf(stop, StringComparison.Ordinal);
            if (at >= 0 && (first < 0 || at < first)) first = at;
        }
        return first;
    }

    // Characters at the end that begin a stop string.
    private int Pending(string text)
    {
        int longest = 0;
        foreach (string stop in stops)
            for (int length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length))) longest = length;
        return longest;
    }
}
