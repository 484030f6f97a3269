namespace LowRank.Tokenizers;

/// <summary>What a tokenizer may make of one text: files are not to be trusted, and a few lines of replacements can
/// make a text grow without end. No tokenizer that is in use comes near.</summary>
/// <param name="length">Characters (UTF-16 units) of the text.</param>
/// <param name="place">Whose tokenizer it is, for messages; empty where that is not known.</param>
internal sealed class TextBudget(long length, string place = "")
{
    private const int Times = 64, Room = 10_000;
    private const long FirstSteps = 50_000_000, StepsPerCharacter = 200;

    /// <summary>Steps that the text's regular expressions may still take.</summary>
    public long Steps { get; set; } = FirstSteps + StepsPerCharacter * length;

    /// <summary>Checks how long the text would become.</summary>
    /// <exception cref="InputException">It is too long.</exception>
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
