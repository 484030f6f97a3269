// Labels texts with a folder of 'lowrank merge --to onnx': dotnet run --project samples/onnx-classifier FOLDER TEXT…
using System.Text.Json;
using LowRank.Tokenizers;
using Microsoft.ML.OnnxRuntime;

string folder = args[0];
Tokenizer tokenizer = Tokenizer.Load(folder);
JsonElement labels = JsonElement.Parse(File.ReadAllText(Path.Combine(folder, "config.json"))).GetProperty("id2label");
using var session = new InferenceSession(Path.Combine(folder, "model.onnx"));
using var options = new RunOptions();
foreach (string text in args[1..])
{
    TokenEncoding read = tokenizer.EncodeFull(text, new EncodingOptions { MaxLength = 512 });
    Dictionary<string, OrtValue> inputs = session.InputNames.ToDictionary(name => name, name => Row(name switch
    {
        "input_ids" => read.Ids, "attention_mask" => read.AttentionMask, _ => read.TypeIds,
    }));
    using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, inputs, ["logits"]);
    float[] scores = results[0].GetTensorDataAsSpan<float>().ToArray();
    int best = Array.IndexOf(scores, scores.Max());
    double probability = 1 / scores.Sum(score => Math.Exp(score - scores[best]));
    Console.WriteLine($"{labels.GetProperty($"{best}")} ({probability:f3}): {text}");
}

static OrtValue Row(int[] values) =>
    OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, value => (long)value), [1, values.Length]);
