namespace LowRank.Tokenizers;

/// <summary>Limits on what a tokenizer may produce from one text. Files are not trusted, and a few lines of
/// replacements can make a text grow without bound. No tokenizer in use comes close to the limits.</summary>
/// <param name="length">Length of the text in characters (UTF-16 units).</param>
/// <param name="place">The tokenizer's source, for messages; empty if unknown.</param>
internal sealed class TextBudget(long length, string place = "")
{
    private const int Times = 64, Room = 10_000;
    private const long FirstSteps = 50_000_000, StepsPerCharacter = 200;

    /// <summary>The remaining steps for the text's regular expressions.</summary>
    public long Steps { get; set; } = FirstSteps + StepsPerCharacter * length;

    /// <summary>Checks the new length of the text.</summary>
    /// <exception cref="InputException">The text is too long.</exception>
    public void Check(long grown)
    {
        if (grown <= Times * length + Room) return;
        throw new InputException(
            $"The tokenizer{(place.Length > 0 ? " in " + place : "")} makes more than {Times * length + Room} " +
            $"characters of a text of {length}; " +
            $"at most {Times} times as many and {Room} more are allowed. Its file is damaged or hostile: use the " +
                "model's own tokenizer.");
    }
}
