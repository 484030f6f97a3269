using System.Globalization;
using System.Runtime.InteropServices;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>POST /v1/embeddings.</summary>
internal static class EmbeddingRoutes
{
    public static void Map(IEndpointRouteBuilder routes, Api api) => api.Post(routes, "/v1/embeddings", Answer);

    /// <summary>The texts' vectors, of length 1.</summary>
    public static async Task<List<float[]>> Embed(Call call, string? adapter, InputTexts texts, string? prompt)
    {
        PredictionOptions options = InputTexts.Options(call) with { Prompt = prompt };
        List<float[]> vectors = await texts.Each(call, adapter, (rows, task) =>
            adapter is null || task == TaskOptions.Embedding.Name
                ? call.Served.Model.EmbedAsync(rows, options, call.Left) : throw ApiException.Invalid(
                $"{adapter} gives no vectors: its task is {task}.", "model", "unsupported_model"))
            .ConfigureAwait(false);
        foreach (float[] vector in vectors) Normalise(vector);
        return vectors;
    }

    private static async Task Answer(Call call)
    {
        RequestFields fields = call.Fields;
        fields.Accept("user");
        (string model, string? adapter) = TextFields.ReadModel(call);
        InputTexts texts = InputTexts.Read(call, "input");
        string format = fields.Word("encoding_format", "float", "base64") ?? "float";
        int? dimensions = fields.Count("dimensions", 1);
        string? prompt = fields.Text("prompt_name");
        fields.End();
        List<float[]> vectors = await Embed(call, adapter, texts, prompt).ConfigureAwait(false);
        if (dimensions is not null && dimensions != vectors[0].Length)
            throw ApiException.Invalid(string.Create(CultureInfo.InvariantCulture,
                $"`dimensions` is {dimensions}, and the model's vectors have {vectors[0].Length}."), "dimensions",
                "invalid_value");
        call.Took = (model, texts.Tokens, 0);
        await call.Answer(new EmbeddingAnswer("list",
            [.. vectors.Select((vector, index) => new EmbeddingEntry("embedding", index, Written(vector, format)))],
            model, new InputUsage(texts.Tokens, texts.Tokens)), ServerJson.Own.EmbeddingAnswer).ConfigureAwait(false);
    }

    // base64 of float32, the lowest byte first.
    private static object Written(float[] vector, string format)
    {
        if (format == "float") return vector;
        byte[] bytes = MemoryMarshal.AsBytes<float>(vector).ToArray();
        if (!BitConverter.IsLittleEndian)
            for (int i = 0; i < bytes.Length; i += sizeof(float)) bytes.AsSpan(i, sizeof(float)).Reverse();
        return Convert.ToBase64String(bytes);
    }

    private static void Normalise(float[] vector)
    {
        double length = Math.Sqrt(vector.Sum(value => (double)value * value));
        if (length > 0) for (int i = 0; i < vector.Length; i++) vector[i] = (float)(vector[i] / length);
    }
}
