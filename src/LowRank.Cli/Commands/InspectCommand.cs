using System.CommandLine;
using LowRank.Adapters;
using LowRank.Adapters.Inspection;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Models;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank inspect</c>.</summary>
internal sealed class InspectCommand : ICliCommand
{
    public string Example => "lowrank inspect runs/quickstart/adapter";

    public Command Build()
    {
        var path = new Argument<string>("path")
        {
            Description = "A model's folder or safetensors file, or an adapter's folder.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object. For a model: kind, model_type, parameters, layers, dtype, dtypes, bytes, " +
                "tensors, files. For an adapter: kind, base_model, rank, alpha, use_rslora, dropout, bias, " +
                "target_modules, trainable_parameters, base_parameters, trainable_percent, bytes, notes, and " +
                "modules: name, rank, alpha, scale, shape, parameters, norm, spectral_norm, effective_rank, " +
                "singular_values, rank_99 (the rank that holds 99 % of Σσ²); and suggested_rank.",
        };
        var plot = new Option<string?>("--plot")
        {
            Description = "Plot the singular values of an adapter's changes to this SVG file.",
        };
        return new Command("inspect",
            "Show what a model or an adapter contains. For an adapter: its targets, its number of trained weights, " +
            "the size (Frobenius norm), effective rank and singular values of each change, and the rank they need. " +
            "The percentage needs the base model at the path that the adapter names.")
            { path, json, plot }
            .Does(parsed => Inspect(parsed.GetRequiredValue(path), parsed.GetValue(json), parsed.GetValue(plot)),
                OptionUse.Always(json),
                OptionUse.Unless(plot, parsed => parsed.GetValue(path) is { } folder && Path.Exists(folder)
                && !IsAdapter(folder)
                ? $"plots an adapter's changes, but {folder} is not an adapter folder; remove it" : null));
    }

    private static void Inspect(string path, bool json, string? plot)
    {
        if (IsAdapter(path))
        {
            OutputFile? drawing = plot is null ? null : OutputFile.Of("--plot", plot, [path], allowsStandard: false);
            AdapterSummary adapter = AdapterSummary.Load(path);
            long? baseParameters = BaseParameters(adapter.Config.BaseModel);
            if (json) JsonOutput.Write(AdapterView.Json(adapter, baseParameters));
            else Screen.Write(AdapterView.Table(adapter, baseParameters));
            if (drawing is not null) SpectrumPlot.Write(adapter, drawing);
            return;
        }
        if (!File.Exists(path) && !Directory.Exists(path))
            throw new InputException(
                $"{path} does not exist; expected a model's folder or safetensors file, or an adapter's folder.");
        ModelSummary model = ModelSummary.Read(path);
        if (json) JsonOutput.Write(ModelView.Json(model));
        else Screen.Write(ModelView.Table(model));
    }

    private static bool IsAdapter(string path) => File.Exists(Path.Combine(path, AdapterConfig.FileName));

    // An adapter often names a model on the Hub instead of a local folder; then there is no percentage.
    private static long? BaseParameters(string? model) =>
        model is not null && Directory.Exists(model) && Directory.EnumerateFiles(model, "*.safetensors").Any()
            ? ModelSummary.Read(model).Parameters : null;
}
