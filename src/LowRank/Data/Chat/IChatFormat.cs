using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>Writes a conversation as the text that a model reads.</summary>
public interface IChatFormat
{
    /// <summary>Whether the text spells out the tokens that begin and end it. Where not, the tokenizer's are added.</summary>
    bool SpellsSpecialTokens { get; }

    /// <summary>How the assistant's turns are told from the rest, in words, for people who ask what is trained.</summary>
    string TurnsToldBy { get; }

    /// <summary>Writes a conversation.</summary>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">What the assistant may call; null for none.</param>
    /// <param name="markTrained">Whether the assistant's turns are to be found; false gives no spans.</param>
    /// <exception cref="InputException">The conversation cannot be written, or the turns cannot be told apart.</exception>
    ChatText Render(JsonArray messages, JsonArray? tools, bool markTrained);

    /// <summary>Writes a conversation up to where the assistant is to speak: what generation begins with.</summary>
    /// <param name="messages">At least one <c>{"role", "content"}</c>.</param>
    /// <param name="tools">What the assistant may call; null for none.</param>
    /// <exception cref="InputException">The conversation cannot be written.</exception>
    string RenderPrompt(JsonArray messages, JsonArray? tools);
}
