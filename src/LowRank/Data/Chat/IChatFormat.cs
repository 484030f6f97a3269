using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>Writes a conversation as the text that a model reads.</summary>
public interface IChatFormat
{
    /// <summary>Whether the text spells out the tokens that begin and end it. Where not, the tokenizer's are added.</summary>
    bool SpellsSpecialTokens { get; }

    /// <summary>How the assistant's turns are told from the rest, in words, for people who ask what is trained.</summary>
    string TurnsToldBy { get; }

    /// <summary>Writes a conversation to learn from.</summary>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">What the assistant may call; null for none.</param>
    /// <param name="learned">The assistant's messages whose places are to be found, by number, ascending; none gives the text
    /// of the conversation alone.</param>
    /// <returns>One text, or several where the format writes a turn otherwise once more messages follow it: each learned
    /// message stands in one of them, after what the model is shown before it and as the model is to write it.</returns>
    /// <exception cref="InputException">The conversation cannot be written, or the turns cannot be told apart.</exception>
    IReadOnlyList<ChatText> Render(JsonArray messages, JsonArray? tools, IReadOnlyList<int> learned);

    /// <summary>Writes a conversation up to where the assistant is to speak: what generation begins with.</summary>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">What the assistant may call; null for none.</param>
    /// <exception cref="InputException">The conversation cannot be written.</exception>
    string RenderPrompt(JsonArray messages, JsonArray? tools);
}
