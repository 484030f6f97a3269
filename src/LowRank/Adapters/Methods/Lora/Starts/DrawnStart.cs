namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>true, false, null and "gaussian": drawn without looking at the model.</summary>
internal sealed class DrawnStart : ILoraStart
{
    public string Name => "true, false, gaussian";

    public bool Is(string name) => name is "true" or "false" or "null" or "gaussian";

    public IReadOnlyDictionary<string, LoraPair> Draw(AdapterBuild build) => build.Targets.ToDictionary(target => target.Path, target =>
    {
        AdapterSite site = build.Sites[target.Path];
        string kind = build.Config.InitialWeights.Name;
        (TorchSharp.torch.Tensor a, TorchSharp.torch.Tensor b) = site.Kind == ModuleKind.Embedding
            ? LoraInitialization.DrawEmbedding(kind, target.Rank, site.InputSize, site.OutputSize, build.Random)
            : LoraInitialization.Draw(kind, target.Rank, site.InputSize, site.OutputSize, build.Random);
        return new LoraPair(a, b);
    });
}
