// What a user writes first: adapts the embedded base for a few steps and prints what it says before and after.
using LowRank;
using LowRank.Adapters;
using LowRank.IO;

await using LanguageModel model = await LanguageModel.LoadEmbeddedAsync();
const string Prompt = "name: The Blue Lamp | type: hotel | area: old town | price: 85\n";
Console.WriteLine($"before: {await model.GenerateTextAsync(Prompt)}");
var lora = new LoraConfig { Rank = 16, Alpha = 32, TargetModules = ModuleSelection.AllLinear };
var training = new TrainingOptions { Steps = 5, BatchSize = 8, LearningRate = 5e-3, OutputFolder = "hotels" };
await model.AdaptAsync(EmbeddedFiles.TrainingRows, lora, training);
Console.Write("after: ");
await foreach (string piece in model.GenerateAsync(Prompt)) Console.Write(piece);
