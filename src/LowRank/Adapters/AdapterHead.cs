using LowRank.Adapters.Files;
using LowRank.Models;
using LowRank.Tensors;

namespace LowRank.Adapters;

/// <summary>Tells from an adapter's folder which head its base is to be opened with.</summary>
public static class AdapterHead
{
    private static readonly string[] Outputs = [".classifier.weight", ".score.weight", ".classifier.out_proj.weight"];

    /// <summary>The head that the adapter was trained with.</summary>
    /// <param name="folder">A PEFT folder.</param>
    /// <returns>Null where the adapter does not tell, as one of a masked language model without LowRank's own file.</returns>
    /// <exception cref="InputException">There is no adapter, or its files are broken.</exception>
    public static HeadRequest? Request(string folder)
    {
        LoraConfig config = LoraConfig.Load(folder);
        AdapterTask? task = AdapterTask.Load(folder);
        HeadKind? kind = task?.Task == "masked_lm" ? HeadKind.LanguageModel : TaskTypes.Head(config.TaskType);
        if (kind is null && config.OtherKeys.TryGetValue("auto_mapping", out System.Text.Json.JsonElement mapping)
            && mapping.ValueKind == System.Text.Json.JsonValueKind.Object && mapping.TryGetProperty("base_model_class", out System.Text.Json.JsonElement name)
            && name.GetString()?.EndsWith("ForMaskedLM", StringComparison.Ordinal) == true) kind = HeadKind.LanguageModel;
        if (kind is null) return null;
        if (kind is not (HeadKind.SequenceClassification or HeadKind.TokenClassification)) return new HeadRequest(kind.Value);
        // The adapter brings the head that it was trained with, also where the base has one for other labels.
        return new HeadRequest(kind.Value, task?.Labels?.Count ?? (task?.Problem == "regression" ? 1 : Rows(folder))) { Renewal = HeadRenewal.WhereOther };
    }

    // The output layer of a head that is saved whole has a row for each label.
    private static int Rows(string folder)
    {
        string path = Adapter.TensorsPath(folder);
        if (!File.Exists(path)) return 2;
        using SafeTensorsFile file = AdapterTensorFile.Open(folder);
        return (int)(file.Entries.Values.FirstOrDefault(entry => entry.Shape.Length == 2 && Outputs.Any(ending => entry.Name.EndsWith(ending, StringComparison.Ordinal)))?.Shape[0] ?? 2);
    }
}
