namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>A way in which pairs begin: a value of <c>init_lora_weights</c>. Found by type.</summary>
internal interface ILoraStart
{
    /// <summary>The value in words, for messages; the plain ones are one word.</summary>
    string Name { get; }

    /// <summary>Whether the start has this name, in lower case.</summary>
    bool Is(string name) => name == Name;

    /// <summary>Whether the pairs begin as a part of the base that is to be taken out of it.</summary>
    bool TakesFromBase => false;

    /// <summary>Whether an adapter saved as trained can be used: one that took from the base needs the same first values
    /// again.</summary>
    bool CanRepeat => true;

    /// <summary>Whether a file that names this start can be used as it is.</summary>
    bool CanLoad => !TakesFromBase || CanRepeat;

    /// <summary>Whether the start says nothing of a saved adapter any more: then <c>true</c> is written.</summary>
    bool IsSpent => false;

    /// <summary>Whether the adapter is right beside a base in the format that it was made on alone; see <see cref="AdapterBase"/>.</summary>
    bool NeedsSameBase => false;

    /// <summary>What is wrong with a new adapter's config for this start, a line each, the key first.</summary>
    IEnumerable<string> Problems(LoraConfig config) => [];

    /// <summary>First values of every target, in the caller's dispose scope.</summary>
    IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build);
}
