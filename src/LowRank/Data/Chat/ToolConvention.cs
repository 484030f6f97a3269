namespace LowRank.Data.Chat;

/// <summary>How a model writes calls of tools, as its chat template shows it: <see cref="Opening"/>, a call,
/// <see cref="Between"/> and a further call any number of times, <see cref="Closing"/>. A call is
/// <see cref="BeforeName"/>, the tool's name, <see cref="BeforeArguments"/>, the arguments as a JSON object,
/// <see cref="AfterArguments"/>.</summary>
/// <remarks>The texts are those of the template, to the character, for constrained decoding. Readers ignore white
/// space in them, because models vary it.</remarks>
internal sealed record ToolConvention
{
    /// <summary>What comes before the first call; empty if the reply itself is a call.</summary>
    public required string Opening { get; init; }

    /// <summary>What comes between two calls; null if the template refuses several calls in a reply.</summary>
    public string? Between { get; init; }

    /// <summary>What comes after the last call, without the end of the turn.</summary>
    public required string Closing { get; init; }

    /// <summary>What comes before the name within a call; empty if the call begins with the name.</summary>
    public required string BeforeName { get; init; }

    /// <summary>What comes between the name and the arguments.</summary>
    public required CallText BeforeArguments { get; init; }

    /// <summary>What comes after the arguments within the call.</summary>
    public required CallText AfterArguments { get; init; }

    /// <summary>The keys of the name and the arguments, if a call is a JSON object; null if it is not.</summary>
    public CallKeys? Keys { get; init; }

    /// <summary>Whether ids of calls must have nine letters or digits, as Mistral's do.</summary>
    public bool HasShortIds { get; init; }

    /// <summary>Whether a turn with calls must have the content null, as DeepSeek's; otherwise it is the empty text.
    /// </summary>
    public bool HasNullContent { get; init; }

    /// <summary>Whether nothing marks a call: a reply that is a JSON object of this form is one, as Llama 3's.
    /// </summary>
    public bool IsBare => Keys is not null && Opening.Length == 0;
}

/// <summary>Text of a call, which may contain the call's id.</summary>
/// <param name="Text">The text; if it contains the id, the part before it.</param>
/// <param name="AfterId">The part after the id; null if the text does not contain it.</param>
internal sealed record CallText(string Text, string? AfterId = null);

/// <summary>The keys of a call that is a JSON object.</summary>
/// <param name="Name">The key of the tool's name.</param>
/// <param name="Arguments">The key of its arguments.</param>
internal sealed record CallKeys(string Name, string Arguments);
