using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Serving;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>GET /api/tags and /api/version, POST /api/show: Ollama's view of the models.</summary>
internal static class OllamaModels
{
    private const string Config = "config.json";

    public static void Map(IEndpointRouteBuilder routes, Api api)
    {
        api.Get(routes, "/api/tags", Tags);
        api.Get(routes, "/api/version",
            call => call.Answer(new OllamaVersion(Version()), ServerJson.Own.OllamaVersion));
        api.Post(routes, "/api/show", Show);
    }

    private static Task Tags(Call call)
    {
        ServedModel served = call.Served;
        string folder = served.Model.Folder;
        List<OllamaTag> tags = [Tag(served.Name, folder, DigestOf(folder), Details(call, ""))];
        foreach (ServedCard adapter in served.Adapters)
            tags.Add(Tag(adapter.Name, adapter.Folder,
                served.Engine?.Adapters.FirstOrDefault(one => one.Name == adapter.Name)?.Digest
                ?? DigestOf(adapter.Folder), Details(call, served.Name)));
        return call.Answer(new OllamaTags(tags), ServerJson.Own.OllamaTags);
    }

    private static Task Show(Call call)
    {
        if (!call.Fields.Has("model") && call.Fields.Has("name")) call.Fields.Accept("model");
        (string name, string? adapter) = OllamaFields.ReadModel(call, call.Fields.Has("model") ? "model" : "name");
        call.Fields.Accept("verbose", "name", "model");
        call.Fields.End();
        ServedModel served = call.Served;
        string family = Family(served);
        var info = new JsonObject
        {
            ["general.architecture"] = family, [$"{family}.context_length"] = served.Context,
        };
        bool writes = served.Engine is not null && (adapter is null || served.Writes(adapter));
        List<string> capabilities = writes ? ["completion"]
            : ServedModel.GivesLabels(served.TaskOf(adapter)) ? [] : ["embedding"];
        if (writes && ChatForm.CallsTools(served.TokenizerOf(adapter))) capabilities.Add("tools");
        return call.Answer(new OllamaModel($"FROM {name}\n", "", served.TokenizerOf(adapter).ChatTemplateSource ?? "",
            Details(call, adapter is null ? "" : served.Name), info, capabilities,
            Modified(served.Model.Folder)), ServerJson.Own.OllamaModel);
    }

    private static OllamaTag Tag(string name, string folder, string digest, OllamaDetails details)
    {
        string tagged = name.Contains(':', StringComparison.Ordinal) ? name : name + ":latest";
        return new OllamaTag(tagged, tagged, Modified(folder), Files(folder).Sum(file => file.Length), digest, details);
    }

    private static OllamaDetails Details(Call call, string parent)
    {
        string family = Family(call.Served);
        return new OllamaDetails(parent, "safetensors", family, [family], "", call.Options.Opening.BaseDtype);
    }

    private static string Family(ServedModel served)
    {
        using JsonDocument config =
            JsonDocument.Parse(File.ReadAllText(Path.Combine(served.Model.Folder, Config)));
        return config.RootElement.TryGetProperty("model_type", out JsonElement type) ? type.GetString() ?? "" : "";
    }

    private static string Modified(string folder) => Files(folder).Select(file => file.LastWriteTimeUtc)
        .DefaultIfEmpty(DateTime.UnixEpoch).Max().ToString("O", CultureInfo.InvariantCulture);

    // Tells folders apart by their files and sizes, without reading the weights.
    private static string DigestOf(string folder) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Join('\n', Files(folder).Select(file => FormattableString.Invariant($"{file.Name} {file.Length}"))))));

    private static IEnumerable<FileInfo> Files(string folder) =>
        Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles().OrderBy(file => file.Name,
            StringComparer.Ordinal) : [];

    private static string Version() => typeof(OllamaModels).Assembly
        .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
