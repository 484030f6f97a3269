using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>A method of strings.</summary>
internal delegate object TextMethod(Renderer renderer, string text, Arguments arguments);
