namespace LowRank.Adapters.Methods.Lora;

/// <summary>LoRA that trains B alone; A stays as it was drawn, which halves what is trained.</summary>
public sealed class LoraFaMethod : IAdapterMethod
{
    /// <inheritdoc/>
    public string Name => "lora_fa";

    /// <inheritdoc/>
    public string Title => "LoRA-FA";

    /// <inheritdoc/>
    public string Paper => "arXiv 2308.03303";

    /// <inheritdoc/>
    public string Summary => "LoRA that trains B alone; A stays as it was drawn, which halves what is trained.";

    /// <inheritdoc/>
    public IReadOnlyList<string> Keys { get; } = [.. AdapterMethods.PairKeys.Where(key => key is not "trainable_token_indices" and not "new_tokens"), "init_lora_weights"];

    /// <inheritdoc/>
    public IReadOnlyList<MethodOption> Options { get; } =
        [new("projected", true, "take the gradient of B that is nearest to full training's, as PEFT does; false takes the plain one of the paper")];

    /// <inheritdoc/>
    public ITrainingRules Rules(Adapter adapter, MethodOptions options) => new LoraFaRules(adapter, options.Flag("projected"));

    /// <inheritdoc/>
    public LoraConfig Configure(LoraConfig shared, MethodOptions options) => shared;
}
